"""The examples of the documents hold: TOML that a reader may copy is accepted, Python imports what exists."""

from __future__ import annotations

import ast
import importlib
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_matrix.devices import load_devices
from network_profiles.catalogue.catalogue import read_profile
from reports.slo.slo_file import load_slo
from ringfence.run_plan import load_plan

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
USER_AGENTS = '[user_agents]\nandroid_reduced = "Mozilla/5.0 (Linux; Android 10; K)"\n'
OF_THE_READER = re.compile(r"\bmy_")


def examples(language: str) -> Iterator[tuple[str, str]]:
    """Each fenced block of the language, with its page."""
    for page in sorted(DOCS.glob("*.md")):
        for match in re.finditer(rf"^ *```{language}\n(.*?)^ *```$", page.read_text(), flags=re.MULTILINE | re.DOTALL):
            yield page.name, textwrap.dedent(match[1])


def example(page: str, start: str) -> str:
    return next(text for name, text in examples("toml") if name == page and text.startswith(start))


@pytest.mark.parametrize(("page", "text"), list(examples("toml")))
def test_every_toml_is_toml(page: str, text: str) -> None:
    assert tomllib.loads(text), page


def test_the_smallest_plan_is_accepted(tmp_path: Path) -> None:
    plan = tmp_path / "my_plan.toml"
    plan.write_text(example("plans-and-shapes.md", "name ="))
    assert load_plan(str(plan)).settings.swarm is not None


def test_the_slo_files_are_accepted(tmp_path: Path) -> None:
    written = tmp_path / "my_release.toml"
    written.write_text(example("slo-files.md", "name ="))
    assert load_slo(written).rule[0].min_n == 200


def test_the_new_device_is_accepted(tmp_path: Path) -> None:
    devices = tmp_path / "devices.toml"
    devices.write_text(USER_AGENTS + example("adding-a-device.md", "[[devices]]"))
    assert "my-phone" in load_devices(devices)


def test_the_new_network_is_accepted(tmp_path: Path) -> None:
    profile = tmp_path / "my_net.toml"
    profile.write_text(example("adding-a-network.md", "id ="))
    assert read_profile(profile).generation == "4g"


@pytest.mark.parametrize(("page", "text"), list(examples("python")))
def test_python_imports_what_exists(page: str, text: str) -> None:
    if text.rstrip().endswith(","):  # a row of a list, or of a table
        text = f"{{{text}}}" if text.startswith('"') else f"[{text}]"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and not OF_THE_READER.search(node.module):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")

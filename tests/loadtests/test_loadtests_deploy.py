"""The files of deploy/: every command in them is one that our programs take."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parent.parent.parent / "deploy"


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def containers() -> dict[str, dict[str, Any]]:
    """Every container of both files, by where it is."""
    found = {f"compose {name}": service for name, service in compose()["services"].items()}
    for part in kubernetes():
        for container in part["spec"].get("template", {}).get("spec", {}).get("containers", ()):
            command = [*container["command"], *container["args"]]
            found[f"kubernetes {container['name']}"] = {**container, "command": command}
    return found


@functools.cache
def options_of(program: str) -> frozenset[str]:
    """Every option that one of our programs takes."""
    if program == "locust":
        # Locust's own help leaves out what a locustfile adds.
        code = (
            "from locust.argument_parser import get_parser; from loadtests.web.start_form import StartForm; "
            "parser = get_parser(); StartForm().add_arguments(parser); "
            "print(*(name for action in parser._actions for name in action.option_strings))"
        )
        command = [sys.executable, "-c", code]
    else:
        command = [sys.executable, "-m", "reference_service", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=DEPLOY.parent).stdout
    return frozenset(re.findall(r"--[a-z-]+", told))


@pytest.mark.parametrize("where", sorted(containers()))
def test_every_command_is_one_that_the_program_takes(where: str) -> None:
    command: list[str] = containers()[where]["command"]
    options = {word.partition("=")[0] for word in command if word.startswith("--")}
    if command[0] == "locust":
        assert "--locustfile=loadtests/locustfile.py" in command
        assert options <= options_of("locust")
    else:
        assert command[:3] == ["python", "-m", "reference_service"]
        assert options <= options_of("reference_service")


def test_the_parts_find_each_other() -> None:
    services = compose()["services"]
    target = next(word for word in services["master"]["command"] if word.startswith("--target="))
    assert services["service"]["networks"]["calls"]["ipv4_address"] in target
    assert f"--master-host={next(name for name in services if name == 'master')}" in services["worker"]["command"]
    parts = {(part["kind"], part["metadata"]["name"]): part for part in kubernetes()}
    for kind, name in parts:
        if kind == "Service":
            app = parts[kind, name]["spec"]["selector"]["app"]
            assert any(
                part["spec"].get("template", {}).get("metadata", {}).get("labels", {}).get("app") == app
                for part in parts.values()
            )
    master = parts["Job", "ringfence-master"]["spec"]["template"]["spec"]["containers"][0]["args"]
    workers = parts["Deployment", "ringfence-worker"]["spec"]
    assert f"--expect-workers={workers['replicas']}" in master
    assert "--master-host=ringfence-master" in workers["template"]["spec"]["containers"][0]["args"]


def test_the_image_holds_every_package_of_the_wheel() -> None:
    copied = set(re.findall(r"^COPY (\w+) \w+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
    wheel = re.search(r"^packages = \[(.*)\]$", (DEPLOY.parent / "pyproject.toml").read_text(), re.MULTILINE)
    assert wheel is not None
    assert copied == set(re.findall(r'"(\w+)"', wheel.group(1)))

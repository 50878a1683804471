"""Run folders of somebody else: what may not be read is told, and hides nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ordinary_machine import as_nobody, ordinary_scene
from synthetic_run_folder import healthy

from bedrock.exit_codes import ExitCode

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read"),
]


@pytest.fixture
def runs() -> Iterator[Path]:
    """Two runs of root's, in a folder that others may enter: pytest's own is its owner's alone."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        first = healthy(calls=12, messages=6, ramp_s=2.0, peak_s=4.0, talk_s=3.0, devices=2).write(folder / "r")
        shutil.copytree(first, folder / "s")
        yield folder


def _said(*arguments: object) -> subprocess.CompletedProcess[str]:
    with ordinary_scene() as scene:
        return as_nobody(scene, "-m", "ringfence", *map(str, arguments))


def test_a_file_that_may_not_be_read_is_invalid_with_its_name(runs: Path) -> None:
    (runs / "r" / "manifest.json").chmod(0)
    (runs / "r" / "health").chmod(0)
    said = _said("gate", runs / "r", "--json")
    assert (said.returncode, said.stderr) == (ExitCode.INVALID, "")
    assert "manifest.json cannot be read: Permission denied" in said.stdout
    assert "health: cannot be read: Permission denied" in said.stdout


def test_a_run_that_may_not_be_entered_hides_no_other(runs: Path) -> None:
    (runs / "r").chmod(0)
    said = _said("history", runs)
    assert (said.returncode, said.stderr) == (ExitCode.PASS, "")
    assert "r: summary.json cannot be read: Permission denied" in said.stdout
    assert " s  " in said.stdout
    refused = _said("gate", runs / "r")
    assert refused.returncode == ExitCode.USAGE
    assert "r cannot be read: Permission denied" in refused.stderr


def test_a_report_that_may_not_be_written_is_told(runs: Path) -> None:
    said = _said("report", runs / "s")
    assert said.returncode == ExitCode.INVALID
    assert "summary.json cannot be written: Permission denied" in said.stderr
    assert not [path for path in (runs / "s").iterdir() if path.name.startswith(".")]

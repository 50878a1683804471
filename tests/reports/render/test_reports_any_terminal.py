"""A verdict never hangs on how, or where, it is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_run_folder import healthy

from bedrock.exit_codes import ExitCode

TERMINALS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "ascii, strict": {"PYTHONIOENCODING": "ascii:strict"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
    "latin-1": {"PYTHONIOENCODING": "iso-8859-1"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "utf-8": {},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return healthy(calls=12, messages=6, lists=6, ramp_s=2.0, peak_s=4.0, talk_s=3.0, failing_cells=1, devices=2).write(
        tmp_path_factory.mktemp("runs") / "ünïcödé-通話"
    )


def _command(terminal: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    argv = [sys.executable, "-m", "ringfence", *map(os.fspath, map(str, arguments))]
    return subprocess.run(argv, capture_output=True, env={**kept, **TERMINALS[terminal]}, check=False)


@pytest.mark.parametrize("terminal", TERMINALS)
def test_gate_ends_with_the_verdict_on_a_terminal_of_any_encoding(run: Path, terminal: str) -> None:
    said = _command(terminal, "gate", run)
    assert (said.returncode, said.stderr) == (ExitCode.INCONCLUSIVE, b"")
    assert b"INCONCLUSIVE" in said.stdout


@pytest.mark.parametrize("terminal", ["ascii", "C"])
def test_report_writes_utf_8_whatever_the_locale_and_an_error_is_a_sentence(run: Path, terminal: str) -> None:
    assert _command(terminal, "report", run).returncode == ExitCode.PASS
    assert "✗" in (run / "report.html").read_text(encoding="utf-8")
    assert json.loads((run / "summary.json").read_text(encoding="utf-8"))["verdict"] == "INCONCLUSIVE"
    listed = _command(terminal, "history", run.parent)
    assert (listed.returncode, listed.stderr) == (ExitCode.PASS, b"")
    missing = _command(terminal, "gate", run / "nöwhere")
    assert missing.returncode == ExitCode.USAGE
    assert missing.stderr.startswith(b"error: there is no run folder at ")

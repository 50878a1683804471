"""The matrix without root: a real cell over a shaped link in a user namespace, and what is said of it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machine_in_time import MACHINE_WAS_LATE
from ordinary_machine import NOBODY, as_nobody, ordinary_scene
from waiting import eventually

import device_matrix
from bedrock.exit_codes import ExitCode
from device_matrix.network.user_namespace import needs_user_namespace
from network_profiles import missing_prerequisites
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import rootless

MATRIX = Path(device_matrix.__file__).parent
PLAN = """
seed = 1
[matrix]
devices = ["redmi-go"]
drivers = "playwright"
sustain_s = 2
retries_environment = 1
[[matrix.rules]]
scenario = "audio_call"
networks = ["lte_good"]
"""

integration = pytest.mark.integration
needs_namespaces = pytest.mark.skipif(
    bool(missing_prerequisites() or [one for one in rootless.missing_prerequisites() if "/dev/net/tun" not in one]),
    reason="no user namespaces here",
)


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder of the ordinary user's own. Not in pytest's folder, which only its owner may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        yield Path(folder)


def cells_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(run.glob("cells/*/*/cell.json"))]


@integration
@needs_namespaces
def test_an_ordinary_user_has_a_real_cell_over_a_shaped_link(theirs: Path) -> None:
    plan = theirs / "plan.toml"
    plan.write_text(PLAN)
    runs: list[Path] = []
    ends: list[subprocess.CompletedProcess[str]] = []

    def was_in_time() -> bool:
        """Without real-time rank a link is late on a crowded machine, or is not measured in time: its cell says so."""
        runs.append(theirs / f"run-{len(runs)}")
        command = ["-m", "pytest", str(MATRIX), "-n", "0", "--plan", str(plan), "--run-folder", str(runs[-1])]
        with ordinary_scene() as scene:
            ends.append(as_nobody(scene, *command, home=str(theirs), cwd=str(theirs)))
        cells = cells_of(runs[-1])
        assert cells, ends[-1].stdout + ends[-1].stderr
        return cells[-1]["reason"] not in {*MACHINE_WAS_LATE, "link_unproven"}

    assert eventually(was_in_time), ends[-1].stdout
    run, done = runs[-1], ends[-1]
    cells = cells_of(run)
    proof = json.loads(sorted(run.glob("cells/*/*/shaping_evidence.json"))[-1].read_text())
    assert (proof["backend"], proof["lab"]) == ("userspace", "user_namespace")
    notes = [json.loads(line) for line in (run / "faults.jsonl").read_text().splitlines()]
    assert {note["what"] for note in notes if note["severity"] == "note"} >= {"without_root"}
    assert any("all of this machine's CPU" in note["detail"] for note in notes)
    cell = cells[-1]
    assert (cell["status"], cell["detail"]) == ("passed", "")
    assert done.returncode == ExitCode.PASS, done.stdout + done.stderr
    assert cell["shaping"]["ok"] is True
    assert str(cell["figures"]["local_candidate"]).startswith("host 10.213.")
    assert (cell["figures"]["cpu_limit"], cell["figures"].get("cpu_quota_cores")) == ("none", None)
    assert cell["figures"]["cpu_s"] > 0


def test_root_and_who_asks_for_the_browsers_emulation_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootless, "missing_prerequisites", list)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not needs_user_namespace(None, "")
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert not needs_user_namespace("cdp", "")
    assert needs_user_namespace(None, "")
    assert needs_user_namespace("userspace", "")


def test_a_service_outside_cannot_be_called_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootless, "missing_prerequisites", list)
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert not needs_user_namespace(None, "http://127.0.0.1:8080"), "the browser's own emulation stands in"
    with pytest.raises(LinkCannotBeBuilt, match=r"127\.0\.0\.1:8080 cannot be reached from a user namespace"):
        needs_user_namespace("userspace", "http://127.0.0.1:8080")


def test_links_that_were_asked_for_and_cannot_be_had_are_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rootless, "missing_prerequisites", lambda: ["the kernel refuses user namespaces"])
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert not needs_user_namespace(None, "")
    with pytest.raises(LinkCannotBeBuilt, match=r"without root, a netem link .* refuses user namespaces") as refused:
        needs_user_namespace("netem", "")
    assert refused.value.exit_code == ExitCode.ENVIRONMENT

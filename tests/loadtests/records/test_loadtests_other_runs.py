"""Other runs on the machine are found by their processes, and our own is not one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from waiting import HANG_LIMIT_S, eventually

from bedrock.clock import SystemClock
from loadtests.records.other_runs import Neighbours, OtherRun, ProcessInfo, other_runs, processes, warning_of

PYTHON = "/opt/venv/bin/python3"
LOCUST = (PYTHON, "-m", "locust", "-f", "/opt/loadtests/locustfile.py")
ENGINE = (PYTHON, "-m", "calls.engine", "--ipc", "ipc:///tmp/x", "--run-folder")


def process(pid: int, parent: int, *argv: str, user: str = "bob") -> ProcessInfo:
    return ProcessInfo(pid, parent, user, float(pid), argv)


MACHINE = [
    process(1, 0, "/sbin/init"),
    process(10, 1, "bash"),
    process(11, 10, PYTHON, "/opt/venv/bin/ringfence", "run", "--plan", "smoke"),
    process(12, 11, *LOCUST, "--master", "--run-folder", "runs/first"),
    process(13, 11, *LOCUST, "--worker", "--run-folder", "runs/first"),
    process(14, 13, *ENGINE, "runs/first", "--run-id", "first"),
    process(20, 1, PYTHON, "-m", "ringfence", "swarm", user="eve"),
    process(30, 10, *LOCUST, "--processes=2", "--run-folder=/x/third"),
    process(31, 30, *ENGINE, "/x/third"),
    process(40, 10, PYTHON, "-m", "pytest", "/opt/device_matrix", "-n", "2", "--run-folder", "/x/fourth"),
    process(50, 10, PYTHON, "/opt/venv/bin/ringfence", "gate", "runs/first"),
    process(51, 10, PYTHON, "-m", "pytest", "tests/loadtests"),
    process(52, 10, "vim", "loadtests/locustfile.py"),
    process(53, 10, "grep", "-r", "calls.engine"),
]


def test_every_run_is_one_however_many_processes_it_has() -> None:
    assert other_runs(MACHINE, 50) == [
        OtherRun(11, "bob", "runs/first", 11.0),
        OtherRun(20, "eve", "", 20.0),
        OtherRun(30, "bob", "/x/third", 30.0),
        OtherRun(40, "bob", "/x/fourth", 40.0),
    ]


@pytest.mark.parametrize("own", [11, 12, 13, 14])
def test_no_process_of_a_run_takes_its_own_run_for_another(own: int) -> None:
    assert 11 not in [run.pid for run in other_runs(MACHINE, own)]


def test_engines_of_a_program_that_is_no_run_of_ours_belong_to_it() -> None:
    machine = [*MACHINE, process(60, 51, *LOCUST, "--master"), process(61, 60, *ENGINE, "/x/own")]
    assert 60 not in [run.pid for run in other_runs(machine, 51)]
    assert 60 in [run.pid for run in other_runs(machine, 50)]


def test_processes_that_are_each_others_parents_end_the_search() -> None:
    loop = [process(2, 3, *ENGINE, "/x"), process(3, 2, "bash")]
    assert [run.pid for run in other_runs(loop, 1)] == [2]


@pytest.mark.integration
def test_a_living_run_is_noticed_when_it_comes_and_when_it_goes(tmp_path: Path) -> None:
    """The other run is a process with the command line of one, started by somebody who is not our child."""
    file = tmp_path / "loadtests" / "locustfile.py"
    file.parent.mkdir()
    file.write_text("import sys; print('here', flush=True); sys.stdin.read()\n")
    # Looked at from no process that is there, so that a child of this one is somebody else's.
    neighbours = Neighbours(SystemClock(), own_pid=2**30)
    neighbours.look(now=True)
    folder = str(tmp_path / "theirs")
    child = subprocess.Popen(
        [sys.executable, str(file), "--master", "--run-folder", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        found = [run for run in neighbours.look(now=True) if run.folder == folder]
        assert [run.pid for run in found] == [child.pid]
        assert f"(pid {child.pid} of " in warning_of(found[0])
        assert [run for run in neighbours.look() if run.folder == folder] == []
    finally:
        child.communicate(timeout=HANG_LIMIT_S)
    assert eventually(lambda: child.pid not in [one.pid for one in processes()])
    neighbours.look(now=True)
    kept = [run for run in neighbours.to_json() if run["folder"] == folder]
    assert len(kept) == 1
    assert kept[0]["from_s"] <= kept[0]["to_s"]

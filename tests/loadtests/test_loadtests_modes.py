"""Locust as its users know it: several processes, its own report files, its exit codes, and targets that fail."""

from __future__ import annotations

import csv
import os
import signal
import sys
from pathlib import Path

import pytest
from swarm_process import PROJECT, free_port, swarm_in, write_plan

from bedrock.exit_codes import ExitCode
from reports.build import summarize
from reports.slo.slo_file import load_slo

pytestmark = [pytest.mark.patient, pytest.mark.integration]


def test_forked_processes_write_locusts_own_files(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm:
        port = str(free_port())
        swarm.start(
            "--headless", "--only-summary", "--processes", "2", "--master-bind-port", port, "--master-port", port,
            "--plan", str(write_plan(tmp_path, people=24, calls=4, hold_s=5)), "--run-folder", str(swarm.run),
            "--html", str(tmp_path / "locust.html"), "--csv", str(tmp_path / "locust"),
        )  # fmt: skip
        assert swarm.wait() == 0
        assert set(swarm.seconds()[-1]["started_by_worker"]) == {"0", "1"}
        rows = swarm.statistics(tmp_path / "locust", "CALL")
        assert int(rows["setup (packets)"]["Request Count"]) == swarm.seconds()[-1]["completed"] > 0
        assert "setup (packets)" in (tmp_path / "locust.html").read_text()
        assert "Traceback" not in swarm.log()


def test_a_service_that_dies_mid_run_is_the_runs_failure(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm:
        plan = write_plan(tmp_path, people=24, calls=4, visits=60)
        files = "--run-folder", str(swarm.run), "--csv", str(tmp_path / "locust")
        swarm.start("--headless", "--only-summary", "--plan", str(plan), *files)
        swarm.wait_for(lambda second: second["stage"] == "hold" and second["completed"] >= 2)
        service = swarm.child_of(swarm.master, "reference_service")
        service.suspend()  # for a second, so that it dies with people waiting: its answers take milliseconds
        swarm.wait_for(lambda _second: True, after=len(swarm.seconds()))
        service.kill()
        swarm.wait_for(lambda second: second["failed"] > 0)
        swarm.master.send_signal(signal.SIGUSR1)
        assert swarm.wait() == 1
        (fault,) = swarm.faults()
        assert (fault["what"], fault["severity"]) == ("service_lost", "fail")
        failed = [leg for leg in swarm.legs() if leg["outcome"] == "failed" and leg["side"] == "caller"]
        assert failed
        assert {leg["blame"] for leg in failed} == {"target"}
        assert swarm.seconds()[-1]["lists_failed"] > 0, "somebody of 24 who look all the time was waiting for a list"
        with (tmp_path / "locust_failures.csv").open() as file:
            lists = {row["Error"] for row in csv.DictReader(file) if row["Method"] == "LIST"}
        assert {error.partition(": ")[2] for error in lists} == {"signaling_lost (blame target)"}
        assert "Traceback" not in swarm.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_go_keeps_its_data_and_ends_with_130(tmp_path: Path, number: signal.Signals) -> None:
    with swarm_in(tmp_path) as swarm:
        plan = write_plan(tmp_path, people=24, calls=4)
        swarm.start("--headless", "--only-summary", "--plan", str(plan), "--run-folder", str(swarm.run))
        swarm.wait_for(lambda second: second["stage"] == "hold" and second["completed"] >= 1)
        swarm.master.send_signal(number)
        assert swarm.wait() == ExitCode.INTERRUPTED
        assert swarm.legs()
        assert "Traceback" not in swarm.log()


PLANT = """
from gevent import monkey
monkey.patch_all()
def boom(*_, **__):
    raise ZeroDivisionError("planted by a test")
import loadtests.{module} as one
one.{function} = boom
from locust.main import main
main()
"""


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("master.master", "prepare_run"),
        ("master.master", "SwarmMaster.on_spawning_complete"),
        ("locust_hooks", "SystemClock"),
    ],
)
def test_a_crash_of_our_hooks_is_70_and_never_a_verdict(tmp_path: Path, module: str, function: str) -> None:
    with swarm_in(tmp_path) as swarm:
        locustfile, plan = str(PROJECT / "loadtests" / "locustfile.py"), write_plan(tmp_path, people=24, calls=4)
        script = PLANT.format(module=module, function=function)
        command = [sys.executable, "-c", script, "-f", locustfile, "--headless", "--only-summary"]
        command += ["--plan", str(plan), "--run-folder", str(swarm.run)]
        swarm.start_command(command, env={"PYTHONPATH": str(PROJECT), "XDG_CACHE_HOME": str(tmp_path / "cache")})
        assert swarm.wait() == ExitCode.CRASHED, swarm.log()
        assert "crashed. This is a bug in ringfence" in swarm.log()
        (file,) = tmp_path.glob("**/crash-*.txt")
        assert "planted by a test" in file.read_text()


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--target", "ftp://127.0.0.1", "must be an address like http://127.0.0.1:8086"),
        ("--target", "127.0.0.1:8086", "must be an address like http://127.0.0.1:8086"),
        ("--target", "http://admin:secret@127.0.0.1", "must not hold a user name or a password"),
        ("--target", "http://127.0.0.1:99999", "port out of range"),
        ("--run-folder", "a" * 300, "at most 255 bytes long (got 300)"),
    ],
)
def test_a_target_or_folder_that_cannot_be_is_told_before_anything_is_started(
    tmp_path: Path, option: str, value: str, says: str
) -> None:
    with swarm_in(tmp_path) as swarm:
        plan = write_plan(tmp_path)
        swarm.start("--headless", "--plan", str(plan), option, value, env={"RINGFENCE_ADMIN_TOKEN": "x"})
        assert swarm.wait() == ExitCode.USAGE, swarm.log()
        assert f"{option}: " in swarm.log()
        assert says in swarm.log()
        assert "Traceback" not in swarm.log()
        assert not swarm.run.exists()
        assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("descriptors", [40, 64])
def test_a_swarm_without_file_descriptors_ends_at_once_and_says_so(tmp_path: Path, descriptors: int) -> None:
    """40: too few to sign everybody in. 64: enough for that, and too few for their calls."""
    with swarm_in(tmp_path) as swarm:
        # Without an end of its own: only the fault can end this load.
        arguments = [
            "--headless",
            "--only-summary",
            "--plan",
            str(write_plan(tmp_path)),
            "--run-folder",
            str(swarm.run),
        ]
        swarm.start(*arguments, enter=["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"])
        assert swarm.wait() == ExitCode.INVALID, swarm.log()
        told = [fault["detail"] for fault in swarm.faults() if fault["what"] == "engine_is_short"]
    assert told == [
        f"worker 0: the engine ran out of file descriptors of one process (allowed {descriptors}): "
        "Too many open files; raise the limit with 'ulimit -n', or sign in fewer people to each worker"
    ]
    summary = summarize(swarm.run, load_slo("smoke"))
    assert summary.verdict == "INVALID"
    assert any("Too many open files" in reason for reason in summary.reasons)


@pytest.mark.parametrize("kind", ["torn", "list", "pipe"])
def test_a_run_folder_whose_manifest_cannot_be_read_is_told_and_not_written_to(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "run" / "manifest.json"
    file.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.write_text('{"written_by": "loadt' if kind == "torn" else "[1]")
    with swarm_in(tmp_path) as swarm:
        swarm.start("--headless", "--plan", str(write_plan(tmp_path)), "--run-folder", str(swarm.run))
        assert swarm.wait() == ExitCode.USAGE, swarm.log()
        assert f"{file}: " in swarm.log()
        assert "--run-folder" in swarm.log()
        assert "Traceback" not in swarm.log()

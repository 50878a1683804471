"""Locust as its users know it: several processes, its own report files, its exit codes, and targets that fail."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import pytest
from swarm_process import free_port, swarm_in, write_plan

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

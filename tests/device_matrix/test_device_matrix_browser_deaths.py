"""A browser that really dies in its cell: what a retry repairs, and what the verdict of the run is then."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from machine_in_time import in_time

from bedrock.clock import SystemClock
from calls.targets.own_service import start_own_service
from device_matrix.attempt import cell_environment
from device_matrix.attempt.execution import Attempt
from device_matrix.attempt.worker import RunSettings, Worker
from device_matrix.cells import Cell, DriverName
from device_matrix.cpu import cpu_limit
from device_matrix.cpu.cpu_limit import CpuGroup
from device_matrix.devices import catalogue
from device_matrix.pytest_plugin import cell_run
from device_matrix.pytest_plugin.cell_run import RunnableAttempt
from network_profiles import load_catalogue, missing_prerequisites
from reports.build import summarize, write_all
from reports.result.summary import Summary
from reports.run.cells import CellResult
from reports.slo.slo_file import SloFile, check_slo

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        bool(missing_prerequisites() or cpu_limit.missing_prerequisites()),
        reason="no links or CPU groups on this machine",
    ),
]

MENDED = Cell("redmi-go", "lte_good", "audio_call", DriverName.PLAYWRIGHT)
DOOMED = Cell("nokia-1", "lte_good", "audio_call", DriverName.PLAYWRIGHT)


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    # Shorter than a run's own: enough packets to tell a link that is off, not to tell by how little.
    monkeypatch.setattr(cell_environment, "MEASURE_BUDGET_S", 0.5)
    service = start_own_service(tmp_path / "service" / "service.sqlite", tmp_path / "service.log")
    settings = RunSettings(
        run_id="test-run", run_folder=str(tmp_path), plan="smoke", seed=5, sustain_s=2.0, retries_environment=1,
        target_url=service.url, admin_token=service.admin_token, appium_url="",
    )  # fmt: skip
    made = Worker("matrix-test", settings, catalogue(), load_catalogue(), SystemClock())
    made.warm_up()
    yield made
    made.close()
    service.process.stop()


@dataclass
class AttemptInTime:
    """An attempt that is made again when the product calls it off because this machine was late."""

    make: Callable[[], Attempt]

    def run(self) -> CellResult:
        return in_time(lambda: self.make().run())


@dataclass
class Deaths:
    """Which attempt's browser dies in which step."""

    worker: Worker
    step_of_attempt: dict[int, str]

    def attempt(self, worker: Worker, cell: Cell, number: int) -> RunnableAttempt:
        return AttemptInTime(lambda: self._doomed(worker, cell, number))

    def _doomed(self, worker: Worker, cell: Cell, number: int) -> Attempt:
        made = Attempt(worker, cell, number)
        begin = made.steps.begin

        def begin_and_die(name: str) -> None:
            begin(name)
            if name == self.step_of_attempt.get(number):
                self._kill_browser()

        made.steps.begin = begin_and_die  # type: ignore[method-assign]
        return made

    def _kill_browser(self) -> None:
        (group,) = self.worker.stop_request._groups
        assert isinstance(group, CpuGroup)
        os.kill(group.pids()[0], signal.SIGKILL)


def run_cell(worker: Worker, cell: Cell, step_of_attempt: dict[int, str]) -> None:
    cell_run.run_cell(worker, cell, [], Deaths(worker, step_of_attempt).attempt)


def slo_of_the_matrix_alone(allowed_deaths: int) -> SloFile:
    """One rule that a single cell can decide, and no opinion on how busy this machine is."""
    lenient = {"send_late_seconds_ratio_max": 1.0, "busy_seconds_ratio_max": 1.0, "health_gap_s_max": 1000.0}
    lenient["deaths_repaired_max"] = allowed_deaths
    rule = {"name": "cells pass", "metric": "cell_pass_ratio", "objective": ">= 0.04"}
    return check_slo({"name": "test", "validity": lenient, "rule": [rule]}, "test")


def judged(worker: Worker, *, allowed_deaths: int) -> Summary:
    worker.flush()
    manifest = {"run_id": "test-run", "started_at_s": time.time() - 600, "ended_at_s": time.time()}
    (worker.run_folder / "manifest.json").write_text(json.dumps(manifest))
    summary = summarize(worker.run_folder, slo_of_the_matrix_alone(allowed_deaths))
    write_all(worker.run_folder, summary)
    return summary


def test_a_death_that_a_retry_repairs_is_told_and_one_that_none_repairs_makes_the_run_invalid(
    worker: Worker,
) -> None:
    run_cell(worker, MENDED, {1: "sustain"})
    summary = judged(worker, allowed_deaths=0)
    assert summary.verdict == "INVALID"
    assert "attempt 1 [browser_died]" in summary.reasons[0]
    summary = judged(worker, allowed_deaths=1)
    assert (summary.verdict, summary.reasons) == ("PASS", [])
    (cell,) = summary.matrix.grid
    assert (cell.status, cell.attempts) == ("passed", 2)
    died, passed = cell.attempts_seen
    assert (died.status, died.reason, passed.status) == ("environment_error", "browser_died", "passed")
    first = worker.run_folder / "cells" / MENDED.id / "1"
    assert all((first / name).exists() for name in ("cell.json", "headers.pcap", "replay.txt", "steps.txt"))
    assert "Attempt 1: environment error (browser died)." in (worker.run_folder / "report.html").read_text()
    for report in ("junit.xml", "summary.md"):
        assert "browser_died" in (worker.run_folder / report).read_text(), report

    with pytest.raises(pytest.fail.Exception, match=r"environment_error \[browser_died\]"):
        run_cell(worker, DOOMED, {1: "open_page", 2: "open_page"})
    summary = judged(worker, allowed_deaths=3)
    assert summary.verdict == "INVALID"
    assert summary.matrix.by_status == {"environment_error": 1, "passed": 1}
    broken = {rule.name for rule in summary.rules if rule.verdict == "INVALID"}
    assert broken == {"matrix_ran", "matrix_retries"}

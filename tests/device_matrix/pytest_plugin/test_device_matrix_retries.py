"""What is tried again, what is told to the run, and an Appium server that comes back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from waiting import eventually

from bedrock.clock import SystemClock
from device_matrix.attempt.worker import RunSettings, Worker
from device_matrix.cells import Cell, DriverName
from device_matrix.drivers import appium_server
from device_matrix.drivers.appium_server import AppiumServer, appium_modules
from device_matrix.pytest_plugin.cell_run import RunnableAttempt, run_cell
from reports.run.cells import CellResult, CellStatus, write_cell

CELL = Cell("redmi-go", "lte_good", "audio_call", DriverName.PLAYWRIGHT)


def result_of(attempt: int, status: CellStatus, reason: str) -> CellResult:
    return CellResult(
        cell=CELL.id, device=CELL.device, network=CELL.network, scenario=CELL.scenario, attempt=attempt, status=status,
        reason=reason, detail="what happened", replay="ringfence matrix --cell x",
    )  # fmt: skip


@dataclass(frozen=True)
class KnownAttempt:
    """An attempt whose end is known beforehand; it writes its result as a real one does."""

    run_folder: Path
    result: CellResult

    def run(self) -> CellResult:
        write_cell(self.run_folder, self.result)
        return self.result


class Rehearsal:
    """A real worker, whose attempts have ends that are known beforehand."""

    def __init__(self, run_folder: Path, ends: list[tuple[CellStatus, str]]) -> None:
        self.run_folder = run_folder
        self.ends = iter(ends)
        self.user_properties: list[tuple[str, object]] = []
        settings = RunSettings(
            run_id="r", run_folder=str(run_folder), plan="smoke", seed=1, sustain_s=2.0, retries_environment=1,
            target_url="http://127.0.0.1:9", admin_token="", appium_url="",
        )  # fmt: skip
        self.worker = Worker("w", settings, {}, {}, SystemClock())

    def attempt(self, worker: Worker, cell: Cell, number: int) -> RunnableAttempt:
        assert (worker, cell) == (self.worker, CELL)
        return KnownAttempt(self.run_folder, result_of(number, *next(self.ends)))

    def run(self) -> None:
        run_cell(self.worker, CELL, self.user_properties, self.attempt)

    def events(self) -> list[tuple[str, int, str]]:
        lines = (self.run_folder / "live" / "matrix.jsonl").read_text().splitlines()
        return [(event["event"], event["attempt"], event.get("status", "")) for event in map(json.loads, lines)]


def test_an_environment_error_is_tried_again_and_both_attempts_stay(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path, [(CellStatus.ENVIRONMENT_ERROR, "link_off"), (CellStatus.PASSED, "")])
    rehearsal.run()
    assert rehearsal.events() == [
        ("start", 1, ""),
        ("end", 1, "environment_error"),
        ("start", 2, ""),
        ("end", 2, "passed"),
    ]
    assert dict(rehearsal.user_properties)["attempts"] == 2
    assert len(list((tmp_path / "cells" / CELL.id).iterdir())) == 2
    assert not (tmp_path / "faults.jsonl").exists(), "a link that was off and measured is no death"


def test_a_failure_of_the_product_is_never_tried_again(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path, [(CellStatus.FAILED, "gap"), (CellStatus.PASSED, "")])
    with pytest.raises(pytest.fail.Exception, match=r"failed \[gap\] what happened\nreplay: ringfence matrix"):
        rehearsal.run()
    assert rehearsal.events() == [("start", 1, ""), ("end", 1, "failed")]


@pytest.mark.parametrize(("reason", "severity"), [("browser_died", "note"), ("far_end_lost", "invalid")])
def test_retries_are_counted_and_a_death_is_told_to_the_run(tmp_path: Path, reason: str, severity: str) -> None:
    died = (CellStatus.ENVIRONMENT_ERROR, reason)
    rehearsal = Rehearsal(tmp_path, [died, died, (CellStatus.PASSED, "")])
    with pytest.raises(pytest.fail.Exception, match=rf"environment_error \[{reason}\]"):
        rehearsal.run()
    faults = [json.loads(line) for line in (tmp_path / "faults.jsonl").read_text().splitlines()]
    assert [fault["what"] for fault in faults] == [f"matrix_{reason}"] * 2
    assert {fault["severity"] for fault in faults} == {severity}


def test_a_stop_request_ends_the_worker_between_cells(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path, [(CellStatus.PASSED, "")])
    rehearsal.worker.stop_request.requested = True
    with pytest.raises(KeyboardInterrupt):
        rehearsal.run()


needs_appium = pytest.mark.skipif(
    bool(appium_server.missing_prerequisites()), reason="no Appium server on this machine"
)


@pytest.fixture
def deaths() -> list[str]:
    return []


@pytest.fixture
def server(tmp_path: Path, deaths: list[str]) -> Iterator[AppiumServer]:
    made = AppiumServer(tmp_path / "appium.log", deaths.append)
    yield made
    made.stop()


@needs_appium
@pytest.mark.integration
def test_an_appium_server_that_was_killed_comes_back_on_its_port(server: AppiumServer, deaths: list[str]) -> None:
    address = server.start()
    assert address.is_ready()
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: server.pid != first and address.is_ready())
    assert server.address == address
    assert server.restarts == 1
    assert deaths == ["the Appium server was killed by signal 9; it is started again"]
    server.stop()
    assert not address.is_ready()


@needs_appium
def test_the_server_and_its_driver_are_the_pinned_ones() -> None:
    pinned = json.loads((appium_server.HOME / "package.json").read_text())["dependencies"]
    assert appium_modules() == pinned

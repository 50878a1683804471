"""Runs the attempts at one cell: retries environment errors, and reports the result to pytest and to the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from device_matrix.artifacts import next_attempt
from device_matrix.attempt.execution import Attempt
from device_matrix.attempt.worker import RunSettings, Worker
from device_matrix.cells import Cell
from device_matrix.pytest_plugin.deaths import write_death
from reports.run.cells import CellResult, CellStatus
from reports.run.live import LiveWriter


class AttemptFactory(Protocol):
    """Creates an attempt at a cell."""

    def __call__(self, worker: Worker, cell: Cell, number: int) -> RunnableAttempt:
        """Returns the attempt with that number."""


class RunnableAttempt(Protocol):
    """One attempt, to be run once."""

    def run(self) -> CellResult:
        """Runs the attempt. Returns its result, which is already in its folder."""


def run_cell(
    worker: Worker, cell: Cell, user_properties: list[tuple[str, object]], make_attempt: AttemptFactory = Attempt
) -> None:
    """Runs ``cell``, and retries after environment errors as often as the plan allows. Fails unless it passes.

    ``user_properties`` are the pytest item's: they carry the result to the controller and into JUnit XML.
    """
    live = LiveWriter(worker.run_folder / "live" / "matrix.jsonl")
    results: list[CellResult] = []
    while not results or _may_retry(results, worker.settings):
        number = next_attempt(worker.run_folder, cell.id)
        live.emit("start", cell=cell.id, attempt=number, worker=worker.name, at_s=worker.clock.unix_s())
        result = make_attempt(worker, cell, number).run()
        live.emit(
            "end", cell=cell.id, attempt=number, status=result.status.value, reason=result.reason,
            at_s=worker.clock.unix_s(),
        )  # fmt: skip
        write_death(worker.run_folder, result, worker.clock.unix_s())
        results.append(result)
        worker.stop_request.check()
    last = results[-1]
    user_properties += [
        ("cell", cell.id),
        ("driver", cell.driver.value),
        ("status", last.status.value),
        ("blame", last.blame.value),
        ("reason", last.reason),
        ("attempts", len(results)),
        ("call_id", last.call_id),
        ("replay", last.replay),
    ]
    if last.status is not CellStatus.PASSED:
        pytest.fail(f"{last.status.value} [{last.reason}] {last.detail}\nreplay: {last.replay}", pytrace=False)


def _may_retry(results: Sequence[CellResult], settings: RunSettings) -> bool:
    last = results[-1]
    return last.status is CellStatus.ENVIRONMENT_ERROR and len(results) <= settings.retries_environment

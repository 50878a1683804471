"""Watches a matrix that was told to end: whether it still makes progress, by the limits that its processes report."""

from __future__ import annotations

from typing import Any

from bedrock.clock import Clock
from calls.bridge.closing import ClosingWatch
from device_matrix.attempt.lifetime import ORDERLY_END_S

CELLS_MARGIN_S = ORDERLY_END_S + 15.0
"""A worker gives up after the first term; pytest then writes its results and ends its servers."""


class MatrixShutdown:
    """Make it when the matrix is told to end: cells are released, then each worker's far end ends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cells = ClosingWatch(clock, CELLS_MARGIN_S)
        self._cells_ended = 0
        self._workers: dict[str, ClosingWatch] = {}

    def hear(self, line: dict[str, Any]) -> None:
        """Takes in a line of the matrix's live file: a cell that ends, or how far a far end is with its end."""
        if line.get("event") == "end":
            self._cells_ended += 1
            self._cells.hear("releasing cells", self._cells_ended, 0.0)
        elif line.get("event") == "closing":
            watch = self._workers.setdefault(str(line["worker"]), ClosingWatch(self._clock, CELLS_MARGIN_S))
            watch.hear(str(line["step"]), int(line["left"]), float(line["limit_s"]))

    @property
    def is_overdue(self) -> bool:
        """Whether no process of the matrix makes progress any more."""
        return self._cells.is_overdue and all(watch.is_overdue for watch in self._workers.values())

"""Keeps the seconds of a run for the live charts: the whole run, in bounded memory."""

from __future__ import annotations

from typing import Any

MAX_POINTS = 1800
"""Points kept. Beyond that, every other one is dropped: half an hour by 1 s, an hour by 2 s, …"""


class History:
    """Points in the order of time. Counts in them are totals, so that dropping a point loses none."""

    def __init__(self) -> None:
        self.points: list[dict[str, Any]] = []
        self.epoch = 0
        """How often points were thinned out. A browser with points of an older epoch must load all again."""
        self._turn = 0

    def add(self, point: dict[str, Any]) -> None:
        """Takes in the newest second."""
        self._turn += 1
        if self._turn % 2**self.epoch:
            return
        self.points.append(point)
        if len(self.points) > MAX_POINTS:
            self.points = self.points[1::2]
            self.epoch += 1

    def since(self, epoch: int, after_s: float) -> list[dict[str, Any]]:
        """Returns the points that somebody lacks who has those of ``epoch`` up to ``after_s``."""
        if epoch != self.epoch:
            return self.points
        newer = len(self.points)
        while newer and self.points[newer - 1]["at_s"] > after_s:
            newer -= 1
        return self.points[newer:]

"""Watches a swarm that was told to end: whether it still makes progress, by the limits that its processes report."""

from __future__ import annotations

from typing import Any

from bedrock.clock import Clock
from calls.bridge.closing import RUN_MARGIN_S, ClosingWatch
from loadtests.wire.shutdown_protocol import DRAIN_MARGIN_S


class SwarmShutdown:
    """Make it when the swarm is told to end. Its calls then have ``drain_s`` to end by themselves."""

    def __init__(self, clock: Clock, drain_s: float) -> None:
        self._clock = clock
        self._calls = ClosingWatch(clock, RUN_MARGIN_S)
        self._calls.hear("letting calls end", 0, drain_s + DRAIN_MARGIN_S)
        self._workers: dict[int, ClosingWatch] = {}

    def hear(self, line: dict[str, Any]) -> None:
        """Takes in a ``closing`` line of the swarm's live file."""
        worker = int(line["worker"])
        watch = self._workers.setdefault(worker, ClosingWatch(self._clock, RUN_MARGIN_S))
        watch.hear(str(line["step"]), int(line["left"]), float(line["limit_s"]))

    @property
    def is_overdue(self) -> bool:
        """Whether no process of the swarm makes progress any more."""
        return self._calls.is_overdue and all(watch.is_overdue for watch in self._workers.values())

    def in_words(self) -> str:
        """Returns how far the shutdown is, for a message."""
        told = [f"worker {worker}: {watch.in_words()}" for worker, watch in sorted(self._workers.items())]
        return "; ".join(told) or "no worker began to end"

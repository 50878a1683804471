"""Defines how long an engine may take to end, and how long the others wait for it.

    engine      ends in steps; it limits each step, and reports once a second which step it is in and what is left
    driver      waits for the step's limit, counted from the last progress, plus ENGINE_MARGIN_S
    master      the same for each of its workers, plus MASTER_MARGIN_S
    supervisor  the same for the master, plus RUN_MARGIN_S

A worker of the device matrix is a driver, too. It reports its engine's progress in the matrix's live file, and the
supervisor waits accordingly (``ringfence.orchestration.matrix_shutdown``).

So nobody else has a fixed limit: a slow link makes the engine's step longer, and with it every wait.
"""

from __future__ import annotations

from bedrock.clock import Clock

ENGINE_MARGIN_S = 15.0
"""For an engine's report to reach its driver. An engine that sends nothing for this long is stuck."""
MASTER_MARGIN_S = ENGINE_MARGIN_S + 10.0
RUN_MARGIN_S = MASTER_MARGIN_S + 10.0


class ClosingWatch:
    """Watches a process that ends. It is overdue after no progress for the limit of its current step."""

    def __init__(self, clock: Clock, margin_s: float) -> None:
        self._clock = clock
        self._margin_s = margin_s
        self._last: tuple[str, int] | None = None
        self._by_s = 0.0
        self.begin()

    def begin(self) -> None:
        """The process was asked to end now, and has not reported yet."""
        self._last = None
        self._by_s = self._clock.monotonic_s() + self._margin_s

    def hear(self, step: str, left: int, limit_s: float) -> bool:
        """Takes a report. Returns whether it shows progress; a repeated report does not."""
        if (step, left) == self._last:
            return False
        self._last = (step, left)
        self._by_s = self._clock.monotonic_s() + limit_s + self._margin_s
        return True

    @property
    def is_overdue(self) -> bool:
        """Whether there was no progress for too long."""
        return self._clock.monotonic_s() > self._by_s

    def in_words(self) -> str:
        """Returns the last report as a sentence."""
        if self._last is None:
            return "it reported nothing"
        step, left = self._last
        return f"it got no further than '{step}', {left} left"

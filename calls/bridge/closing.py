"""How long an engine may need to end, and how long the others wait for it.

    engine      ends in steps; it bounds each step itself, and says once a second which step is on and what is left
    driver      waits for the bound of the step, counted from the last progress, and ENGINE_MARGIN_S more
    master      the same for each of its workers, and MASTER_MARGIN_S more
    supervisor  the same for the master, and RUN_MARGIN_S more

A worker of the device matrix is a driver, too: it says in the matrix's live file how far its engine is, and the
supervisor goes by that (``ringfence.orchestration.matrix_shutdown``).

So nobody has a number of seconds of their own: a slow link makes the engine's step longer, and with it every wait.
"""

from __future__ import annotations

from bedrock.clock import Clock

ENGINE_MARGIN_S = 15.0
"""For an engine's word to reach its driver. An engine that says nothing at all for so long is stuck."""
MASTER_MARGIN_S = ENGINE_MARGIN_S + 10.0
RUN_MARGIN_S = MASTER_MARGIN_S + 10.0


class ClosingWatch:
    """Waits for somebody who ends: overdue once there was no progress for the bound of the present step."""

    def __init__(self, clock: Clock, margin_s: float) -> None:
        self._clock = clock
        self._margin_s = margin_s
        self._last: tuple[str, int] | None = None
        self._by_s = 0.0
        self.begin()

    def begin(self) -> None:
        """The end was asked for just now, and nothing was said yet."""
        self._last = None
        self._by_s = self._clock.monotonic_s() + self._margin_s

    def hear(self, step: str, left: int, limit_s: float) -> bool:
        """Takes in a word of who ends. Returns whether it is progress; the same word again is none."""
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
        """Returns what was heard last."""
        if self._last is None:
            return "it said nothing"
        step, left = self._last
        return f"it got no further than '{step}', {left} left"

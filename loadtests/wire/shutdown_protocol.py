"""The end of a run, so that no worker's last report is lost.

Locust sends ``quit`` and waits half a second; a worker that is still hanging up calls then reports to nobody. Here the
master keeps the connection until every worker has said that it is done, in three steps, each bounded. How long the
second may take is told by who takes it (``calls.bridge.closing``): no number here has to know how slow a link is.

    master                          worker
      end(drain_s)      ------->      starts nothing new, waits for its calls to end
                        <-------    drained(in_flight)
      close             ------->      its engine hangs up what is left, writes its last segment and exits
                        <-------    closing(step, left, limit), each second of it
                        <-------    final(totals), again each second until it is acknowledged
      ack               ------->      may quit

The second step begins when *all* workers have drained: a worker whose people are in nobody's call yet may be rung by a
call that another worker has just placed, and must not go offline under it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import gevent
from gevent.event import Event

GO = "ringfence_go"
LEVEL = "ringfence_level"
OTHERS = "ringfence_others"
SECOND = "ringfence_second"
PRESENCE = "ringfence_presence"
FAULT = "ringfence_fault"
END = "ringfence_end"
DRAINED = "ringfence_drained"
CLOSE = "ringfence_close"
CLOSING = "ringfence_closing"
FINAL = "ringfence_final"
ACK = "ringfence_ack"
TIME = "ringfence_time"
TIME_IS = "ringfence_time_is"

UPLOAD_S = 120.0
"""How long the records of a remote worker may take to reach the master, counted from the last file that did."""
FINAL_S = 15.0
"""How long a worker repeats its final report to a master that does not acknowledge it. A living master does at once."""
DRAIN_MARGIN_S = 5.0
"""What the master waits beyond the time that calls have to end by themselves."""


class WorkerBarrier:
    """Which workers have answered one step, and a way to wait for the rest."""

    def __init__(self, slots: Iterable[int]) -> None:
        self._missing = set(slots)
        self._all_here = Event()
        self._settle()

    @property
    def missing(self) -> list[int]:
        """The workers that have neither answered nor been given up."""
        return sorted(self._missing)

    def answer(self, slot: int) -> None:
        """Notes that a worker answered. Answering twice is harmless."""
        self._missing.discard(slot)
        self._settle()

    give_up = answer
    """Notes that a worker is gone and will never answer."""

    def stop_waiting(self) -> None:
        """Wakes whoever waits: somebody is in a hurry."""
        self._all_here.set()

    def wait(self, timeout_s: float) -> list[int]:
        """Waits for the rest. Returns the workers that did not answer in time."""
        self._all_here.wait(timeout_s)
        return self.missing

    def _settle(self) -> None:
        if not self._missing:
            self._all_here.set()


def repeat_until(event: Event, action: Callable[[], None], *, every_s: float, timeout_s: float) -> bool:
    """Runs ``action`` now and every ``every_s`` until ``event`` is set. Returns whether it was in time."""
    with gevent.Timeout(timeout_s, False):
        while not event.is_set():
            action()
            event.wait(every_s)
    return bool(event.is_set())

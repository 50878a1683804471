"""Says how a link changes with time: a sequence of segments, each a shape or an outage.

Outages depend on time, not on packets: in a lift, a voice call and a video call lose the same seconds.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from network_profiles.model.shape import PlainShape
from network_profiles.model.traces.delivery_opportunities import DeliveryOpportunities

TimedShape = tuple[float, PlainShape | None]
"""A duration in seconds, and the link's shape during it; None is an outage."""


class TimelineState(NamedTuple):
    """The state of a link at one time, and until when it stays so."""

    shape: PlainShape | None
    """None in an outage: every packet sent is lost."""
    until_s: float
    """Time of the next possible change, by the caller's clock; infinity when there is none."""


class Timeline:
    """Looks up the link's state at a time. Query times must never decrease. The last segment lasts for ever.

    For a trace, the segments are samples for those who cannot follow it byte by byte. ``opportunities`` is the trace
    itself, which the link model follows instead.
    """

    def __init__(
        self,
        timed_shapes: Iterator[TimedShape],
        started_at_s: float,
        *,
        opportunities: DeliveryOpportunities | None = None,
    ) -> None:
        self.opportunities = opportunities
        self._timed_shapes = timed_shapes
        self._ends_at_s = started_at_s
        self._shape: PlainShape | None = None

    def state_at(self, now_s: float) -> TimelineState:
        """Returns the link's state at ``now_s`` and the time at which to ask again.

        A backend that shapes by settings (``tc change``) uses it in a loop: apply ``shape``, wait until ``until_s``,
        ask again. Two neighbouring states may be equal.
        """
        return TimelineState(self.shape_at(now_s), self._ends_at_s)

    def shape_at(self, now_s: float) -> PlainShape | None:
        """Returns the link's shape at ``now_s``; None in an outage."""
        while now_s >= self._ends_at_s:
            timed_shape = next(self._timed_shapes, None)
            if timed_shape is None:
                self._ends_at_s = float("inf")
            else:
                self._ends_at_s += timed_shape[0]
                self._shape = timed_shape[1]
        return self._shape


def phase_sequence(timed_shapes: Iterable[TimedShape], *, repeat: bool) -> Iterator[TimedShape]:
    """Yields the phases of a profile, once or in an endless cycle."""
    return itertools.cycle(timed_shapes) if repeat else iter(tuple(timed_shapes))


def random_outages(
    shape: PlainShape, *, mean_between_s: float, shortest_s: float, longest_s: float, rng: random.Random
) -> Iterator[TimedShape]:
    """Yields, for ever, service of exponential length and then an outage of uniform length."""
    while True:
        yield rng.expovariate(1.0 / mean_between_s), shape
        yield rng.uniform(shortest_s, longest_s), None

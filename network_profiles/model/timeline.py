"""How a link changes with time: a sequence of stretches, each a shape or an outage, whoever sends what.

Outages are a process in time and not in packets: a voice call and a video call lose the same seconds to a lift.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from network_profiles.model.shape import PlainShape
from network_profiles.model.traces.delivery_opportunities import Room

Stretch = tuple[float, PlainShape | None]
"""Seconds that it lasts, and the link in it; None is an outage."""


class Moment(NamedTuple):
    """What a link is at one time, and how long it stays so."""

    shape: PlainShape | None
    """None in an outage: nothing that is sent comes out."""
    until_s: float
    """When it next may change, by the clock of the question; infinity when it never does again."""


class Timeline:
    """Looks up the link at a time. Times asked for must not go back; after the last stretch its link stays.

    Of a trace the stretches are samples, for whoever cannot follow it byte by byte; ``room`` is the trace itself, which
    the link model follows instead.
    """

    def __init__(self, stretches: Iterator[Stretch], started_at_s: float, *, room: Room | None = None) -> None:
        self.room = room
        self._stretches = stretches
        self._ends_at_s = started_at_s
        self._shape: PlainShape | None = None

    def moment(self, now_s: float) -> Moment:
        """Returns the link at ``now_s`` and the time at which to ask again.

        This is what a backend that shapes by settings (``tc change``) follows: apply ``shape``, wait for ``until_s``,
        ask again at ``until_s``. Two neighbouring stretches may be equal.
        """
        return Moment(self.at(now_s), self._ends_at_s)

    def at(self, now_s: float) -> PlainShape | None:
        """Returns the link's shape at ``now_s``, None in an outage."""
        while now_s >= self._ends_at_s:
            stretch = next(self._stretches, None)
            if stretch is None:
                self._ends_at_s = float("inf")
            else:
                self._ends_at_s += stretch[0]
                self._shape = stretch[1]
        return self._shape


def phases(stretches: Iterable[Stretch], *, repeat: bool) -> Iterator[Stretch]:
    """The stretches as written, once or for ever."""
    return itertools.cycle(stretches) if repeat else iter(tuple(stretches))


def random_outages(
    shape: PlainShape, *, mean_between_s: float, shortest_s: float, longest_s: float, rng: random.Random
) -> Iterator[Stretch]:
    """Service of exponential length, then an outage of uniform length, for ever."""
    while True:
        yield rng.expovariate(1.0 / mean_between_s), shape
        yield rng.uniform(shortest_s, longest_s), None

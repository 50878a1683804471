"""How a link changes with time: a sequence of stretches, each a shape or an outage, whoever sends what.

Outages are a process in time and not in packets: a voice call and a video call lose the same seconds to a lift.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator

from network_profiles.shape import Shape

Stretch = tuple[float, "Shape | None"]
"""Seconds that it lasts, and the link in it; None is an outage."""


class Timeline:
    """Looks up the link at a time. Times asked for must not go back; after the last stretch its link stays."""

    def __init__(self, stretches: Iterator[Stretch], started_at_s: float) -> None:
        self._stretches = stretches
        self._ends_at_s = started_at_s
        self._shape: Shape | None = None

    def at(self, now_s: float) -> Shape | None:
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
    shape: Shape, *, mean_between_s: float, shortest_s: float, longest_s: float, rng: random.Random
) -> Iterator[Stretch]:
    """Service of exponential length, then an outage of uniform length, for ever."""
    while True:
        yield rng.expovariate(1.0 / mean_between_s), shape
        yield rng.uniform(shortest_s, longest_s), None

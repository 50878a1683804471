"""What a call is, and how patient its caller: drawn for each call from the plan's weights."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Mapping

from loadtests.plan.durations import TalkTime

TALK = "talk"


class CallMix:
    """Weighted scenarios, and a distribution of patience."""

    def __init__(self, weights: Mapping[str, float], patience: TalkTime | None = None) -> None:
        self._names = [name for name, weight in weights.items() if weight > 0]
        self._ladder = list(itertools.accumulate(weights[name] for name in self._names))
        self._patience = patience

    def draw(self, rng: random.Random) -> tuple[str, float | None]:
        """Returns a scenario, and after how many seconds of ringing the caller gives up, None for never.

        Only talk is given up: a scenario has a script, and a caller who leaves it would show nothing about the target.
        """
        scenario = self._names[0]
        if len(self._names) > 1:
            place = bisect.bisect_right(self._ladder, rng.random() * self._ladder[-1])
            scenario = self._names[min(place, len(self._names) - 1)]
        if self._patience is None or scenario != TALK:
            return scenario, None
        return scenario, self._patience.draw(rng)


JUST_TALK = CallMix({TALK: 1.0})
"""Nothing but calls that are talked through."""

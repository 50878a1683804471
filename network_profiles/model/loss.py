"""Draws bursty random loss: a Gilbert-Elliott chain whose good state loses nothing and whose bad state loses all.

Per packet, the chain leaves the bad state with probability ``r = 1 / B`` and enters it with
``p = L / (B * (1 - L))``, for a mean loss L and a mean burst of B packets (Gilbert 1960, Elliott 1963). netem's
``loss gemodel p r`` has the same p and r.
"""

from __future__ import annotations

import random
from typing import NamedTuple


class Chain(NamedTuple):
    """Transition probabilities per packet."""

    enter_bad: float
    leave_bad: float


def chain(loss_ratio: float, loss_burst_packets: float) -> Chain:
    """Returns the chain for a mean loss below 1 and a mean burst of at least 1 packet."""
    return Chain(loss_ratio / (loss_burst_packets * (1.0 - loss_ratio)), 1.0 / loss_burst_packets)


class GilbertElliott:
    """Decides for each packet in turn whether it is lost. Starts in the chain's stationary distribution."""

    __slots__ = ("_bad", "_chain", "_random")

    def __init__(self, loss_ratio: float, loss_burst_packets: float, rng: random.Random) -> None:
        self._random = rng.random
        everything = loss_ratio >= 1.0
        self._chain = Chain(1.0, 0.0) if everything else chain(loss_ratio, loss_burst_packets)
        self._bad = everything or self._random() < loss_ratio

    def loses_next(self) -> bool:
        """Advances the chain by one packet and returns whether that packet is lost."""
        lost = self._bad
        if lost:
            self._bad = self._random() >= self._chain.leave_bad
        else:
            self._bad = self._random() < self._chain.enter_bad
        return lost

"""A region's mix of networks, dealt to the people of a run."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loadtests.dealing import deal

if TYPE_CHECKING:
    from network_profiles import RegionMix


def load_regions() -> Mapping[str, RegionMix]:
    """Returns the regions that a plan may name."""
    from network_profiles import load_mixes

    mixes: Mapping[str, RegionMix] = load_mixes()
    return mixes


def deal_networks(region: RegionMix, count: int, rng: random.Random) -> Sequence[str]:
    """Returns ``count`` network profile ids in the region's shares, to within one, in random order.

    By quota and not by lot: a run of some hundred people must not depend on who happened to get the 2G phones. The
    order is random, so that a network and a persona do not always meet.
    """
    total = sum(region.weights.values())
    networks = deal({profile_id: weight / total for profile_id, weight in region.weights.items()}, count)
    rng.shuffle(networks)
    return networks

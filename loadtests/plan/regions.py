"""A region's mix of networks, dealt to the people of a run."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from loadtests.plan.apportionment import apportion
from network_profiles import RegionMix, load_mixes


def load_regions() -> Mapping[str, RegionMix]:
    """Returns the regions that a plan may name."""
    return load_mixes()


def apportion_networks(region: RegionMix, count: int, rng: random.Random) -> Sequence[str]:
    """Returns ``count`` network profile ids in the region's shares, to within one, in random order.

    By quota and not by lot: a run of some hundred people must not depend on who happened to get the 2G phones. The
    order is random, so that a network and a persona do not always meet.
    """
    networks = apportion(region.shares, count)
    rng.shuffle(networks)
    return networks

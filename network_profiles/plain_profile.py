"""A profile as plain numbers: what travels to the link's daemon, and what a link's timeline is made from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from network_profiles.link import LinkDirection
from network_profiles.shape import PlainShape, plain_shape
from network_profiles.timeline import Timeline, phases, random_outages

if TYPE_CHECKING:
    from network_profiles.profile import NetworkProfile

Side = Literal["down", "up"]


class PlainPhase(NamedTuple):
    """A stretch of time with its link in both directions; an outage has neither."""

    lasts_s: float
    down: PlainShape | None
    up: PlainShape | None


class PlainOutages(NamedTuple):
    """A random on/off process: see ``network_profiles.profile.Outages``."""

    mean_between_s: float
    shortest_s: float
    longest_s: float


class PlainProfile(NamedTuple):
    """The numbers of a NetworkProfile, as JSON arrays when dumped."""

    down: PlainShape
    up: PlainShape
    phases: tuple[PlainPhase, ...] = ()
    repeat: bool = False
    outages: PlainOutages | None = None

    def direction(self, side: Side, seed: int) -> LinkDirection:
        """Returns one direction of a fresh link, without its timeline. Each direction draws its own randomness."""
        return LinkDirection(self._shape(side), random.Random(f"{seed}/{side}"))

    def timeline(self, side: Side, seed: int, started_at_s: float) -> Timeline | None:
        """Returns how that direction changes from ``started_at_s`` on, by any clock; None when it never does.

        Both directions of one seed see the same outages: a lift takes them both. A trace is sampled: its rate for each
        100 ms, an outage where it has no room at all. ``Timeline.moment`` tells the link at a time and the next change.
        """
        if self.phases:
            stretches = [(phase.lasts_s, phase.down if side == "down" else phase.up) for phase in self.phases]
            return Timeline(phases(stretches, repeat=self.repeat), started_at_s)
        if self.outages:
            rng = random.Random(f"{seed}/outages")
            return Timeline(random_outages(self._shape(side), rng=rng, **self.outages._asdict()), started_at_s)
        return None

    def _shape(self, side: Side) -> PlainShape:
        return self.down if side == "down" else self.up


def plain_profile(profile: NetworkProfile) -> PlainProfile:
    """Returns the profile's numbers."""
    down, up = plain_shape(profile.down), plain_shape(profile.up)
    stretches = tuple(
        PlainPhase(phase.lasts_s, None, None)
        if phase.outage
        else PlainPhase(
            phase.lasts_s,
            down if phase.down is None else plain_shape(phase.down),
            up if phase.up is None else plain_shape(phase.up),
        )
        for phase in profile.phases
    )
    outages = profile.outages
    return PlainProfile(
        down,
        up,
        stretches,
        profile.repeat,
        None if outages is None else PlainOutages(outages.mean_between_s, outages.shortest_s, outages.longest_s),
    )


def from_json(arrays: Sequence[Any]) -> PlainProfile:
    """Returns what ``json.dumps`` of a PlainProfile was made from."""
    down, up, stretches, repeat, outages = arrays
    return PlainProfile(
        PlainShape(*down),
        PlainShape(*up),
        tuple(PlainPhase(lasts_s, _shape_or_none(one), _shape_or_none(other)) for lasts_s, one, other in stretches),
        repeat,
        None if outages is None else PlainOutages(*outages),
    )


def _shape_or_none(numbers: Sequence[Any] | None) -> PlainShape | None:
    return None if numbers is None else PlainShape(*numbers)

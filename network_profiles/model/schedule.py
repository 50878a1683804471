"""What a link is over its first seconds, for whoever draws it or weighs it against a call's needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from network_profiles.model.plain_profile import PlainProfile, Side
from network_profiles.model.shape import PlainShape
from network_profiles.model.timeline import Timeline

SHORTEST_S = 30.0
LONGEST_S = 300.0
RANDOM_S = 120.0
"""How much is shown of what goes on for ever and never repeats."""
LAST_PHASE_S = 10.0
"""How much is shown of a phase that stays."""


class Stretch(NamedTuple):
    """A time in which a direction stays as it is; ``shape`` is None in an outage."""

    starts_s: float
    ends_s: float
    shape: PlainShape | None

    @property
    def lasts_s(self) -> float:
        return self.ends_s - self.starts_s


@dataclass(frozen=True, slots=True)
class Course:
    """One direction from its start on."""

    stretches: tuple[Stretch, ...]
    """Without a hole from 0 to ``length_s``."""

    @property
    def length_s(self) -> float:
        return self.stretches[-1].ends_s

    @property
    def outages(self) -> tuple[Stretch, ...]:
        """The stretches in which nothing passes, neighbours joined."""
        joined: list[Stretch] = []
        for stretch in self.stretches:
            if stretch.shape is None:
                if joined and joined[-1].ends_s == stretch.starts_s:
                    joined[-1] = Stretch(joined[-1].starts_s, stretch.ends_s, None)
                else:
                    joined.append(stretch)
        return tuple(joined)

    def share_carrying(self, kbit: float, *, loss_max_ratio: float = 1.0) -> float:
        """Returns the share of the time in which the link's rate is ``kbit`` or more, its loss at most as given."""
        carrying = [one for one in self.stretches if one.shape is not None and carries(one.shape, kbit)]
        kept = [one for one in carrying if one.shape is not None and one.shape.loss_ratio <= loss_max_ratio]
        return sum(one.lasts_s for one in kept) / self.length_s

    @property
    def passing_ratio(self) -> float:
        """Share of packets that random loss lets through, over the time in service; 0 when there is none."""
        service = [(one.lasts_s, one.shape.loss_ratio) for one in self.stretches if one.shape is not None]
        length_s = sum(lasts_s for lasts_s, _ in service)
        return sum(lasts_s * (1.0 - loss) for lasts_s, loss in service) / length_s if length_s else 0.0


def carries(shape: PlainShape, kbit: float) -> bool:
    """Whether the rate of ``shape`` is ``kbit`` or more; one without a rate carries anything."""
    return shape.rate_kbit is None or kbit <= shape.rate_kbit


def course(profile: PlainProfile, side: Side, *, seed: int = 1, length_s: float | None = None) -> Course:
    """Returns that direction's course, as long as it takes to tell what the link is like unless ``length_s`` is given.

    Raises TraceUnreadable when a trace's file is gone.
    """
    until_s = telling_length_s(profile) if length_s is None else length_s
    timeline = profile.timeline(side, seed, 0.0)
    if timeline is None:
        return Course((Stretch(0.0, until_s, profile.shape(side)),))
    return Course(tuple(stretches(timeline, until_s)))


def stretches(timeline: Timeline, until_s: float) -> Iterator[Stretch]:
    """Yields how a timeline that began at 0 goes on until ``until_s``, in its own steps."""
    at_s = 0.0
    while at_s < until_s:
        shape, changes_at_s = timeline.moment(at_s)
        ends_s = min(changes_at_s, until_s)
        yield Stretch(at_s, ends_s, shape)
        at_s = ends_s


def telling_length_s(profile: PlainProfile) -> float:
    """Returns how long it takes to see what changes: whole rounds of phases, or enough of a random process."""
    if not profile.phases:
        return RANDOM_S
    lasts_s = [phase.lasts_s for phase in profile.phases]
    if not profile.repeat:
        return sum(lasts_s[:-1]) + min(lasts_s[-1], LAST_PHASE_S)
    round_s = sum(lasts_s)
    rounds = max(1.0, SHORTEST_S // round_s)
    return min(LONGEST_S, rounds * round_s)

"""Lists a link's states over its first seconds, to draw them or to compare them with a call's needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from network_profiles.model.plain_profile import PlainProfile, Side
from network_profiles.model.shape import PlainShape
from network_profiles.model.timeline import Timeline

MIN_LENGTH_S = 30.0
MAX_LENGTH_S = 300.0
RANDOM_LENGTH_S = 120.0
"""Length shown of a random process, which never repeats."""
LAST_PHASE_SHOWN_S = 10.0
"""Length shown of a last phase that lasts for ever."""


class Segment(NamedTuple):
    """A time in which one direction does not change; ``shape`` is None in an outage."""

    starts_s: float
    ends_s: float
    shape: PlainShape | None

    @property
    def lasts_s(self) -> float:
        return self.ends_s - self.starts_s


@dataclass(frozen=True, slots=True)
class Schedule:
    """The states of one direction, from its start on."""

    segments: tuple[Segment, ...]
    """Cover 0 to ``length_s`` without a hole."""

    @property
    def length_s(self) -> float:
        return self.segments[-1].ends_s

    @property
    def outages(self) -> tuple[Segment, ...]:
        """The segments in which nothing passes, neighbours merged."""
        joined: list[Segment] = []
        for segment in self.segments:
            if segment.shape is None:
                if joined and joined[-1].ends_s == segment.starts_s:
                    joined[-1] = Segment(joined[-1].starts_s, segment.ends_s, None)
                else:
                    joined.append(segment)
        return tuple(joined)

    def share_carrying(self, kbit: float, *, loss_max_ratio: float = 1.0) -> float:
        """Returns the share of the time with a rate of at least ``kbit`` and a loss of at most ``loss_max_ratio``."""
        carrying = [one for one in self.segments if one.shape is not None and carries(one.shape, kbit)]
        kept = [one for one in carrying if one.shape is not None and one.shape.loss_ratio <= loss_max_ratio]
        return sum(one.lasts_s for one in kept) / self.length_s

    @property
    def passing_ratio(self) -> float:
        """Share of packets that random loss lets through, over the time in service; 0 without any service."""
        service = [(one.lasts_s, one.shape.loss_ratio) for one in self.segments if one.shape is not None]
        length_s = sum(lasts_s for lasts_s, _ in service)
        return sum(lasts_s * (1.0 - loss) for lasts_s, loss in service) / length_s if length_s else 0.0


def carries(shape: PlainShape, kbit: float) -> bool:
    """Whether the rate of ``shape`` is at least ``kbit``; a shape without a rate carries anything."""
    return shape.rate_kbit is None or kbit <= shape.rate_kbit


def build_schedule(profile: PlainProfile, side: Side, *, seed: int = 1, length_s: float | None = None) -> Schedule:
    """Returns that direction's schedule, over ``length_s`` or else over a representative time.

    Raises TraceUnreadable when a trace's file is gone.
    """
    until_s = representative_length_s(profile) if length_s is None else length_s
    timeline = profile.timeline(side, seed, 0.0)
    if timeline is None:
        return Schedule((Segment(0.0, until_s, profile.shape(side)),))
    return Schedule(tuple(timeline_segments(timeline, until_s)))


def timeline_segments(timeline: Timeline, until_s: float) -> Iterator[Segment]:
    """Yields the segments of a timeline that started at 0, until ``until_s``."""
    at_s = 0.0
    while at_s < until_s:
        shape, changes_at_s = timeline.state_at(at_s)
        ends_s = min(changes_at_s, until_s)
        yield Segment(at_s, ends_s, shape)
        at_s = ends_s


def representative_length_s(profile: PlainProfile) -> float:
    """Returns a time that shows how the link changes: whole cycles of its phases, or enough of a random process."""
    if not profile.phases:
        return RANDOM_LENGTH_S
    lasts_s = [phase.lasts_s for phase in profile.phases]
    if not profile.repeat:
        return sum(lasts_s[:-1]) + min(lasts_s[-1], LAST_PHASE_SHOWN_S)
    cycle_s = sum(lasts_s)
    cycles = max(1.0, MIN_LENGTH_S // cycle_s)
    return min(MAX_LENGTH_S, cycles * cycle_s)

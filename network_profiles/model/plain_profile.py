"""A profile as plain numbers: the form that goes to a link's daemon, and the source of a link's timeline."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from network_profiles.model.link import LinkDirection
from network_profiles.model.shape import PlainShape, plain_shape
from network_profiles.model.timeline import TimedShape, Timeline, phase_sequence, random_outages
from network_profiles.model.traces.delivery_opportunities import RecordedOpportunities, VariableRateOpportunities
from network_profiles.model.traces.generate import RateProcess, RateSegment, generate
from network_profiles.model.traces.mahimahi import read_trace

if TYPE_CHECKING:
    from network_profiles.model.profile import NetworkProfile, Trace

Side = Literal["down", "up"]
SIDES: tuple[Side, Side] = ("down", "up")


class PlainPhase(NamedTuple):
    """A time with its link in both directions; in an outage both are None."""

    lasts_s: float
    down: PlainShape | None
    up: PlainShape | None


class PlainOutages(NamedTuple):
    """Random outages: see ``network_profiles.model.profile.Outages``."""

    mean_between_s: float
    shortest_s: float
    longest_s: float


PlainTrace = RateProcess | str
"""The parameters of a generated trace, or the absolute path of a file in mahimahi's format."""


class PlainProfile(NamedTuple):
    """The numbers of a NetworkProfile. ``json.dumps`` writes them as arrays."""

    down: PlainShape
    up: PlainShape
    phases: tuple[PlainPhase, ...] = ()
    repeat: bool = False
    outages: PlainOutages | None = None
    down_trace: PlainTrace | None = None
    up_trace: PlainTrace | None = None

    def direction(self, side: Side, seed: int) -> LinkDirection:
        """Returns one direction of a new link, without its timeline. Each direction draws its own randomness."""
        return LinkDirection(self.shape(side), random.Random(f"{seed}/{side}"))

    def timeline(self, side: Side, seed: int, started_at_s: float) -> Timeline | None:
        """Returns how that direction changes from ``started_at_s`` on, by any clock; None when it never changes.

        Both directions of one seed have the same outages, as in a lift. A trace is sampled: one rate for each 100 ms,
        an outage for a gap. Raises TraceUnreadable when a trace's file is gone.
        """
        trace = self.down_trace if side == "down" else self.up_trace
        if trace is not None:
            return self._trace_timeline(trace, side, seed, started_at_s)
        if self.phases:
            timed_shapes = [(phase.lasts_s, phase.down if side == "down" else phase.up) for phase in self.phases]
            return Timeline(phase_sequence(timed_shapes, repeat=self.repeat), started_at_s)
        if self.outages:
            rng = random.Random(f"{seed}/outages")
            return Timeline(random_outages(self.shape(side), rng=rng, **self.outages._asdict()), started_at_s)
        return None

    def _trace_timeline(self, trace: PlainTrace, side: Side, seed: int, started_at_s: float) -> Timeline:
        shape = self.shape(side)
        if isinstance(trace, str):
            recorded = read_trace(Path(trace))
            opportunities = RecordedOpportunities(recorded.at_ms, started_at_s)
            return Timeline(_shapes(shape, recorded.sampled()), started_at_s, opportunities=opportunities)

        def rates() -> Iterator[RateSegment]:
            return generate(trace, shape.rate_kbit or 0.0, seed=str(seed), side=side)

        return Timeline(
            _shapes(shape, rates()), started_at_s, opportunities=VariableRateOpportunities(rates(), started_at_s)
        )

    def shape(self, side: Side) -> PlainShape:
        """Returns the shape of that direction apart from its changes; a link under measurement is held to it."""
        return self.down if side == "down" else self.up


def _shapes(shape: PlainShape, rates: Iterator[RateSegment]) -> Iterator[TimedShape]:
    """Yields the samples of a trace: ``shape`` at each rate, with a queue of constant bytes."""
    queue_bits = shape.queue_ms * (shape.rate_kbit or 0.0)
    for lasts_s, kbit in rates:
        yield lasts_s, None if kbit <= 0 else shape._replace(rate_kbit=kbit, queue_ms=max(1.0, queue_bits / kbit))


def plain_profile(profile: NetworkProfile) -> PlainProfile:
    """Returns the profile's numbers."""
    down, up = plain_shape(profile.down), plain_shape(profile.up)
    segments = tuple(
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
        segments,
        profile.repeat,
        None if outages is None else PlainOutages(outages.mean_between_s, outages.shortest_s, outages.longest_s),
        _plain_trace(profile.down.trace),
        _plain_trace(profile.up.trace),
    )


def from_json(arrays: Sequence[Any]) -> PlainProfile:
    """Returns the PlainProfile that ``json.dumps`` wrote as ``arrays``."""
    down, up, segments, repeat, outages, down_trace, up_trace = arrays
    return PlainProfile(
        PlainShape(*down),
        PlainShape(*up),
        tuple(PlainPhase(lasts_s, _shape_or_none(one), _shape_or_none(other)) for lasts_s, one, other in segments),
        repeat,
        None if outages is None else PlainOutages(*outages),
        _trace_or_none(down_trace),
        _trace_or_none(up_trace),
    )


def _shape_or_none(numbers: Sequence[Any] | None) -> PlainShape | None:
    return None if numbers is None else PlainShape(*numbers)


def _plain_trace(trace: Trace | None) -> PlainTrace | None:
    if trace is None:
        return None
    if trace.process is None:
        return trace.file
    return RateProcess(*(getattr(trace.process, name) for name in RateProcess._fields))


def _trace_or_none(written: Sequence[Any] | str | None) -> PlainTrace | None:
    return written if written is None or isinstance(written, str) else RateProcess(*written)

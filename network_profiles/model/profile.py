"""A network profile as a person writes it: six numbers a direction, where each comes from, and how it changes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from bedrock.toml_input import Written
from network_profiles.model.quantity import (
    BurstPackets,
    DelayMs,
    JitterMs,
    LogSpread,
    PeakRatio,
    QueueMs,
    RateKbit,
    Ratio,
    Seconds,
)

Generation = Literal["2g", "3g", "4g", "5g", "wifi", "satellite"]


class TraceProcess(Written):
    """A generator of traces: service with gaps, and a rate that wanders. See ``traces.generate``."""

    spread: LogSpread
    """How far the rate strays from its median."""
    peak_ratio: PeakRatio
    """The rate's ceiling, as a multiple of its median."""
    coherence_s: Seconds
    """After which the rate has forgotten most of what it was."""
    gap_every_s: Seconds
    """Mean length of service between two gaps."""
    gap_median_s: Seconds
    gap_spread: LogSpread
    gap_longest_s: Seconds

    @model_validator(mode="after")
    def _in_order(self) -> TraceProcess:
        if self.gap_longest_s < self.gap_median_s:
            raise ValueError("gap_longest_s must not be below gap_median_s")
        return self


class Trace(Written):
    """A rate that never stands still: recorded in a file, or made by a process."""

    file: str | None = Field(default=None, min_length=1)
    """In mahimahi's format, relative to the profile's own file."""
    process: TraceProcess | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Trace:
        if (self.file is None) == (self.process is None):
            raise ValueError("must have either 'file' or 'process'")
        return self


class Direction(Written):
    """One direction of a link. Sizes are those of whole IP packets, headers included."""

    rate_kbit: RateKbit = None
    """1000 bit/s; absent for a link without a rate. With a trace, its mean over everything: as given for a process to
    keep to, as read from a file."""
    owd_ms: DelayMs
    """One-way delay beside the time on the wire and in the queue."""
    jitter_ms: JitterMs = 0.0
    """Standard deviation of the delay; the order of packets is kept."""
    loss_ratio: Ratio = 0.0
    loss_burst_packets: BurstPackets = 1.0
    """Mean length of a run of lost packets."""
    queue_ms: QueueMs
    """Depth of the drop-tail queue, as time at the link's rate."""
    trace: Trace | None = None
    """What the rate does as time goes on."""

    @model_validator(mode="after")
    def _a_process_needs_a_mean(self) -> Direction:
        if self.trace and self.trace.process and self.rate_kbit is None:
            raise ValueError("a trace's process needs rate_kbit, the mean that it keeps to, from 1 kbit/s up")
        return self

    @model_validator(mode="after")
    def _burst_can_reach_the_loss(self) -> Direction:
        shortest = self.loss_ratio / (1.0 - self.loss_ratio) if self.loss_ratio < 1.0 else 1.0
        if self.loss_burst_packets < shortest:
            raise ValueError(f"loss_burst_packets must be at least {shortest:.3g} for a loss of {self.loss_ratio:g}")
        return self


class Phase(Written):
    """A stretch of time: an outage, another link, or (neither named) the profile's own."""

    lasts_s: Seconds
    outage: bool = False
    down: Direction | None = None
    up: Direction | None = None

    @model_validator(mode="after")
    def _an_outage_has_no_link(self) -> Phase:
        if self.outage and (self.down or self.up):
            raise ValueError("an outage has no 'down' and no 'up'")
        if any(direction is not None and direction.trace for direction in (self.down, self.up)):
            raise ValueError("a phase has no trace: its link stands still")
        return self


class Outages(Written):
    """A random on/off process: service of exponential length, then an outage of uniform length."""

    mean_between_s: Seconds
    shortest_s: Seconds
    longest_s: Seconds

    @model_validator(mode="after")
    def _in_order(self) -> Outages:
        if self.shortest_s > self.longest_s:
            raise ValueError("shortest_s must not be above longest_s")
        return self


class Sources(Written):
    """Where each number was read, or the reasoning behind it."""

    rate_kbit: str = Field(min_length=1)
    owd_ms: str = Field(min_length=1)
    jitter_ms: str = Field(min_length=1)
    loss_ratio: str = Field(min_length=1)
    loss_burst_packets: str = Field(min_length=1)
    queue_ms: str = Field(min_length=1)
    change: str = ""
    """Of the phases, outages or traces, when there are any."""


class NetworkProfile(Written):
    """One network as a call meets it."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_]{1,39}$")
    title: str = Field(min_length=1)
    generation: Generation
    down: Direction
    """Towards the device."""
    up: Direction
    """From the device."""
    phases: tuple[Phase, ...] = ()
    """What the link is as time goes on; empty for a link that stays as it is."""
    repeat: bool = False
    """After the last phase comes the first again; else the last one stays."""
    outages: Outages | None = None
    source: Sources
    synthetic: tuple[str, ...] = ()
    """Those numbers, named as in ``source``, that are an engineering choice and not a published or measured figure."""

    @field_validator("synthetic")
    @classmethod
    def _names_of_numbers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in Sources.model_fields]
        if unknown:
            raise ValueError(f"must name numbers of 'source': {', '.join(Sources.model_fields)}")
        return names

    @model_validator(mode="after")
    def _one_kind_of_change(self) -> NetworkProfile:
        if bool(self.phases) + (self.outages is not None) + self.has_trace > 1:
            raise ValueError("'phases', 'outages' and a 'trace' exclude each other")
        if self.changes_with_time and not self.source.change:
            raise ValueError("source.change must say where the phases, outages or traces come from")
        return self

    @property
    def rtt_ms(self) -> float:
        """Both one-way delays, of an empty link, without the time on the wire."""
        return self.down.owd_ms + self.up.owd_ms

    @property
    def changes_with_time(self) -> bool:
        return bool(self.phases) or self.outages is not None or self.has_trace

    @property
    def has_trace(self) -> bool:
        """Whether a direction's rate follows a trace."""
        return bool(self.down.trace or self.up.trace)

"""The six parameters of one direction of a link, without any library: all that the model and its daemons need."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Shape(Protocol):
    """The six parameters of one direction. ``network_profiles.model.profile.Direction`` is their validated form."""

    @property
    def rate_kbit(self) -> float | None:
        """1000 bit/s of whole IP packets, headers included; None for a link without a rate."""

    @property
    def owd_ms(self) -> float:
        """One-way delay, without the time on the wire and in the queue."""

    @property
    def jitter_ms(self) -> float:
        """Standard deviation of the one-way delay."""

    @property
    def loss_ratio(self) -> float:
        """Mean share of packets lost at random."""

    @property
    def loss_burst_packets(self) -> float:
        """Mean length of a run of lost packets."""

    @property
    def queue_ms(self) -> float:
        """Depth of the drop-tail queue, in ms at the link's rate."""


class PlainShape(NamedTuple):
    """A Shape in the form that is sent between processes."""

    rate_kbit: float | None
    owd_ms: float
    jitter_ms: float
    loss_ratio: float
    loss_burst_packets: float
    queue_ms: float


def plain_shape(shape: Shape) -> PlainShape:
    """Returns the numbers of ``shape``."""
    return PlainShape(*(getattr(shape, name) for name in PlainShape._fields))

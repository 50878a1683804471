"""What one direction of a link is made of, free of any library: the model and its daemon need no more than this."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Shape(Protocol):
    """The six numbers of one direction. ``network_profiles.model.profile.Direction`` is the checked form of it."""

    @property
    def rate_kbit(self) -> float | None:
        """1000 bit/s of whole IP packets, headers included; None for a link without a rate."""

    @property
    def owd_ms(self) -> float:
        """One-way delay beside the time on the wire and in the queue."""

    @property
    def jitter_ms(self) -> float:
        """Standard deviation of the delay."""

    @property
    def loss_ratio(self) -> float:
        """Mean share of packets lost at random."""

    @property
    def loss_burst_packets(self) -> float:
        """Mean length of a run of lost packets."""

    @property
    def queue_ms(self) -> float:
        """Depth of the drop-tail queue, as time at the link's rate."""


class PlainShape(NamedTuple):
    """A Shape as it travels between processes."""

    rate_kbit: float | None
    owd_ms: float
    jitter_ms: float
    loss_ratio: float
    loss_burst_packets: float
    queue_ms: float


def plain_shape(shape: Shape) -> PlainShape:
    """Returns ``shape`` as plain numbers."""
    return PlainShape(*(getattr(shape, name) for name in PlainShape._fields))

"""The link model: computes when a packet offered now arrives at the other end, or why it is dropped.

Per direction: an outage or the loss chain may drop the packet. A backlog deeper than ``queue_ms`` drops it at the
tail. Otherwise the packet is serialised (``free = max(now, free) + bits / rate``) and arrives at
``max(last_out, free, free + owd + jitter)``: never reordered, never faster than the rate. The model has no I/O, no
clock and no hidden randomness: the same seed and the same offers give the same deliveries, packet for packet.

A packet lost at random takes no time on the wire, as with netem, whose loss stands before the rate. So a saturated
link delivers ``rate_kbit``.

On a trace, delivery opportunities replace the rate: they say when a packet's last byte leaves. The queue has as many
bytes as it would have at the mean rate. It holds packets through the trace's gaps, as a base station does.
"""

from __future__ import annotations

import random
from collections import deque
from enum import StrEnum
from typing import Final, NamedTuple

from network_profiles.model.jitter import jitter_s
from network_profiles.model.loss import GilbertElliott
from network_profiles.model.shape import Shape
from network_profiles.model.timeline import Timeline
from network_profiles.model.traces.delivery_opportunities import DeliveryOpportunities


class DropCause(StrEnum):
    """Why a packet never arrived."""

    LOSS = "loss"
    QUEUE = "queue"
    OUTAGE = "outage"


class Delivery(NamedTuple):
    """The fate of one packet: the time at which it arrives, or the cause of its drop."""

    at_s: float | None
    cause: DropCause | None = None


NEVER_S: Final = float("inf")


class LinkDirection:
    """One direction of a link. It starts as ``direction``; a ``timeline`` then decides its shape."""

    def __init__(self, direction: Shape, rng: random.Random, *, timeline: Timeline | None = None) -> None:
        self._rng = rng
        self._free_at_s = float("-inf")
        self._last_out_s = float("-inf")
        self.packets = 0
        self.bytes = 0
        """Bytes offered, of whole IP packets."""
        self.delivered_packets = 0
        self.delivered_bytes = 0
        self.dropped = dict.fromkeys(DropCause, 0)
        self._last_cause: DropCause | None = None
        self._waiting: deque[tuple[float, int]] = deque()
        self._waiting_bytes = 0
        self.reshape(direction)
        self.follow_timeline(timeline)

    def follow_timeline(self, timeline: Timeline | None) -> None:
        """Takes the shape, or the trace, from ``timeline`` from now on; with None the shape stays as it is."""
        self._opportunities: DeliveryOpportunities | None = None if timeline is None else timeline.opportunities
        self._timeline = timeline if self._opportunities is None else None
        self._opportunities_from_s = self._free_at_s

    def reshape(self, direction: Shape) -> None:
        """Changes the shape to ``direction``. Packets on their way keep their times; later ones stay behind them."""
        self._shape = direction
        self._s_per_byte = 0.0 if direction.rate_kbit is None else 8.0 / (1000.0 * direction.rate_kbit)
        self._owd_s = direction.owd_ms / 1000.0
        self._jitter_ms = direction.jitter_ms
        self._queue_s = direction.queue_ms / 1000.0
        self._queue_bytes = direction.queue_ms * (direction.rate_kbit or 0.0) / 8.0
        self._loss = (
            GilbertElliott(direction.loss_ratio, direction.loss_burst_packets, self._rng)
            if direction.loss_ratio > 0
            else None
        )

    def offer(self, now_s: float, size_bytes: int) -> Delivery:
        """Offers one IP packet of ``size_bytes``, headers included, at ``now_s`` of any monotonic clock."""
        at_s = self.arrival_s(now_s, size_bytes)
        return Delivery(at_s) if at_s < NEVER_S else Delivery(None, self._last_cause)

    def arrival_s(self, now_s: float, size_bytes: int) -> float:
        """Offers a packet as ``offer`` does, without creating an object: returns its arrival, infinity for a drop."""
        self.packets += 1
        self.bytes += size_bytes
        if self._timeline is not None:
            shape = self._timeline.shape_at(now_s)
            if shape is None:
                return self._drop(DropCause.OUTAGE)
            if shape is not self._shape:
                self._reshape_if_different(shape)
        if self._loss is not None and self._loss.loses_next():
            return self._drop(DropCause.LOSS)
        if self._opportunities is not None:
            if self._backlog_bytes(now_s) > self._queue_bytes:
                return self._drop(DropCause.QUEUE)
            # Opportunities keep packets in order: a waiting packet gets what the one before it left of an opportunity.
            free_at_s = self._opportunities.departure_s(max(now_s, self._opportunities_from_s), size_bytes)
            self._waiting.append((free_at_s, size_bytes))
            self._waiting_bytes += size_bytes
        elif self._free_at_s - now_s > self._queue_s:
            return self._drop(DropCause.QUEUE)
        else:
            free_at_s = max(now_s, self._free_at_s) + size_bytes * self._s_per_byte
        delay_s = self._owd_s
        if self._jitter_ms > 0:
            delay_s = max(0.0, delay_s + jitter_s(self._jitter_ms, self._rng))
        at_s = max(self._last_out_s, free_at_s + delay_s)
        self._free_at_s = free_at_s
        self._last_out_s = at_s
        self.delivered_packets += 1
        self.delivered_bytes += size_bytes
        return at_s

    def _reshape_if_different(self, shape: Shape) -> None:
        """Reshapes, unless ``shape`` equals the present one: two equal phases share one loss chain.

        A shape that came through JSON is equal but another object, and must draw the same randomness.
        """
        if shape == self._shape:
            self._shape = shape
        else:
            self.reshape(shape)

    def _backlog_bytes(self, now_s: float) -> int:
        """Returns the bytes that wait on a trace. A packet counts whole until its last byte has left."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= now_s:
            self._waiting_bytes -= waiting.popleft()[1]
        return self._waiting_bytes

    def _drop(self, cause: DropCause) -> float:
        self.dropped[cause] += 1
        self._last_cause = cause
        return NEVER_S

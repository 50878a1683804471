"""The link model: when, if ever, does a packet offered now come out at the other end?

Per direction: an outage or the loss chain may take the packet; a backlog deeper than ``queue_ms`` drops it at the
tail; else it is serialised (``free = max(now, free) + bits / rate``) and comes out at
``max(last_out, free, free + owd + jitter)``: never reordered, never faster than the rate. No I/O, no clock, no hidden
randomness: the same seed and the same offers give the same deliveries, packet for packet.

A packet lost at random takes no time on the wire (as netem's loss, which stands before its rate), so that
``rate_kbit`` is what a saturated link delivers.

On a trace, the trace's room says when a packet's last byte leaves, in place of the rate; the queue is as deep in bytes
as it would be at the mean rate, and holds through the trace's gaps what a base station would hold.
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
from network_profiles.model.traces.delivery_opportunities import Room


class DropCause(StrEnum):
    """Why a packet never came out."""

    LOSS = "loss"
    QUEUE = "queue"
    OUTAGE = "outage"


class Delivery(NamedTuple):
    """What became of one packet: the time it comes out, or why it does not."""

    at_s: float | None
    cause: DropCause | None = None


NEVER_S: Final = float("inf")


class LinkDirection:
    """One direction of a link. With a ``timeline``, that decides the shape and ``direction`` is where it starts."""

    def __init__(self, direction: Shape, rng: random.Random, *, timeline: Timeline | None = None) -> None:
        self._rng = rng
        self._free_at_s = float("-inf")
        self._last_out_s = float("-inf")
        self.packets = 0
        self.bytes = 0
        """Offered, of whole IP packets."""
        self.delivered_packets = 0
        self.delivered_bytes = 0
        self.dropped = dict.fromkeys(DropCause, 0)
        self._last_cause: DropCause | None = None
        self._waiting: deque[tuple[float, int]] = deque()
        self._waiting_bytes = 0
        self.reshape(direction)
        self.follow(timeline)

    def follow(self, timeline: Timeline | None) -> None:
        """Takes the shape, or its trace, from ``timeline`` from now on; with None the shape stays as it is."""
        self._room: Room | None = None if timeline is None else timeline.room
        self._timeline = timeline if self._room is None else None
        self._room_from_s = self._free_at_s

    def reshape(self, direction: Shape) -> None:
        """Goes on as ``direction``. What is on its way keeps its time; what comes after it stays after it."""
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
        """Offers one IP packet of ``size_bytes``, headers included, at ``now_s`` of any clock that never goes back."""
        at_s = self.comes_out_at_s(now_s, size_bytes)
        return Delivery(at_s) if at_s < NEVER_S else Delivery(None, self._last_cause)

    def comes_out_at_s(self, now_s: float, size_bytes: int) -> float:
        """As ``offer``; returns the time, infinity for a packet that never does, and makes nothing."""
        self.packets += 1
        self.bytes += size_bytes
        if self._timeline is not None:
            shape = self._timeline.at(now_s)
            if shape is None:
                return self._drop(DropCause.OUTAGE)
            if shape is not self._shape:
                self._become(shape)
        if self._loss is not None and self._loss.loses_next():
            return self._drop(DropCause.LOSS)
        if self._room is not None:
            if self._backlog_bytes(now_s) > self._queue_bytes:
                return self._drop(DropCause.QUEUE)
            # The room keeps its own order: a packet that waits shares what the one before it leaves of a moment.
            free_at_s = self._room.leaves_at_s(max(now_s, self._room_from_s), size_bytes)
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

    def _become(self, shape: Shape) -> None:
        """Reshapes, unless ``shape`` says the same as before: two equal phases are one to the loss chain.

        What came through JSON is equal and not the same object, and must draw the same randomness.
        """
        if shape == self._shape:
            self._shape = shape
        else:
            self.reshape(shape)

    def _backlog_bytes(self, now_s: float) -> int:
        """What a trace has not let go yet. The packet that is leaving counts whole until its last byte has left."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= now_s:
            self._waiting_bytes -= waiting.popleft()[1]
        return self._waiting_bytes

    def _drop(self, cause: DropCause) -> float:
        self.dropped[cause] += 1
        self._last_cause = cause
        return NEVER_S

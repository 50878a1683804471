"""Simulates a person's access link inside the engine: signaling and media share one queue each way, as on a phone.

Datagrams are lost as the link loses them. Signaling uses TCP, where a loss becomes a delay. The reliable methods resend
a lost segment after a timeout and keep the order, as RFC 6298 and RFC 9293 require.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from network_profiles.model.plain_profile import Side, plain_profile

if TYPE_CHECKING:
    from calls.media.timing.ticker import Ticker
    from network_profiles.model.link import LinkDirection
    from network_profiles.model.profile import NetworkProfile

IP_UDP_BYTES = 28
"""IPv4 and UDP headers of a datagram; they count towards the link's rate."""
TCP_IP_BYTES = 52
"""IPv4 and TCP headers of a segment with timestamps."""
SEGMENT_BYTES = 1400
_RTO_FLOOR_S = 0.2
_RTO_CEILING_S = 60.0

Deliver = Callable[[], None]


@dataclass(slots=True)
class AccessLinkCounters:
    """What one link has carried so far, both directions together."""

    packets: int = 0
    bytes: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    """By cause, named as in ``network_profiles.model.link.DropCause``."""
    max_delay_s: float = 0.0
    """The longest time that a packet spent on the link. It is long when the link stalls."""


@dataclass(slots=True)
class _Message:
    deliver: Deliver
    segments_left: int


def _direction(profile: NetworkProfile, side: Side, seed: int, now_s: float) -> LinkDirection:
    numbers = plain_profile(profile)
    direction = numbers.direction(side, seed)
    direction.follow_timeline(numbers.timeline(side, seed, now_s))
    return direction


class AccessLink:
    """Both directions of one person's link. ``close`` discards what is in flight."""

    def __init__(self, profile: NetworkProfile, seed: int, ticker: Ticker) -> None:
        self.profile = profile
        self.counters = AccessLinkCounters()
        self._ticker = ticker
        self._up = _direction(profile, "up", seed, ticker.now_s())
        self._down = _direction(profile, "down", seed, ticker.now_s())
        self._streams: dict[LinkDirection, deque[_Message]] = {self._up: deque(), self._down: deque()}
        self._first_rto_s = _RTO_FLOOR_S + 2 * (profile.up.owd_ms + profile.down.owd_ms) / 1000.0
        self._closed = False

    def send_up(self, size_bytes: int, deliver: Deliver) -> None:
        """Sends one datagram of ``size_bytes``, headers included. ``deliver`` is called if and when it arrives."""
        self._offer(self._up, size_bytes, deliver, None)

    def send_down(self, size_bytes: int, deliver: Deliver) -> None:
        """Like ``send_up``, towards the person."""
        self._offer(self._down, size_bytes, deliver, None)

    def send_up_reliable(self, size_bytes: int, deliver: Deliver) -> None:
        """Sends a message of ``size_bytes`` like TCP: in order, and late instead of lost."""
        self._send_stream(self._up, size_bytes, deliver)

    def send_down_reliable(self, size_bytes: int, deliver: Deliver) -> None:
        """Like ``send_up_reliable``, towards the person."""
        self._send_stream(self._down, size_bytes, deliver)

    def close(self) -> None:
        """Delivers nothing any more."""
        self._closed = True
        for stream in self._streams.values():
            stream.clear()

    def _offer(self, direction: LinkDirection, size_bytes: int, arrived: Deliver, lost: Deliver | None) -> None:
        if self._closed:
            return
        now_s = self._ticker.now_s()
        delivery = direction.offer(now_s, size_bytes)
        self.counters.packets += 1
        self.counters.bytes += size_bytes
        if delivery.at_s is None:
            self.counters.drops[str(delivery.cause)] += 1
            if lost is not None:
                lost()
        else:
            self.counters.max_delay_s = max(self.counters.max_delay_s, delivery.at_s - now_s)
            self._ticker.call_at(delivery.at_s, lambda _at_s: None if self._closed else arrived())

    def _send_stream(self, direction: LinkDirection, size_bytes: int, deliver: Deliver) -> None:
        full, rest = divmod(max(1, size_bytes), SEGMENT_BYTES)
        sizes = [SEGMENT_BYTES] * full + ([rest] if rest else [])
        message = _Message(deliver, len(sizes))
        self._streams[direction].append(message)
        for size in sizes:
            self._send_segment(direction, message, size + TCP_IP_BYTES, self._first_rto_s)

    def _send_segment(self, direction: LinkDirection, message: _Message, size_bytes: int, rto_s: float) -> None:
        def arrived() -> None:
            message.segments_left -= 1
            stream = self._streams[direction]
            while stream and not stream[0].segments_left:
                stream.popleft().deliver()

        def lost() -> None:
            again_s = min(2 * rto_s, _RTO_CEILING_S)
            self._ticker.call_at(
                self._ticker.now_s() + rto_s,
                lambda _at_s: self._send_segment(direction, message, size_bytes, again_s),
            )

        self._offer(direction, size_bytes, arrived, lost)

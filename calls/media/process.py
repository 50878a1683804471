"""Owns what all legs of one process share (clock, ticker, sockets, certificate, packet buffers) and measures it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from bedrock.clock import Clock
from calls.histograms import MsHistogram
from calls.media.audio.clips import audio_clip
from calls.media.dtls.dtls import SharedCertificate
from calls.media.dtls.srtp import PacketBuffer
from calls.media.ice.socket_hub import DATAGRAM_MAX, SocketHub
from calls.media.ice.transport import ConnectLimits
from calls.media.interface import MediaHealth, MediaStats
from calls.media.probe.audio_probe import voice_envelope
from calls.media.timing.alarm import MakeAlarm
from calls.media.timing.ticker import Ticker
from calls.media.video.video_clip import video_clip
from calls.records.record import Tier

_PREENCODED_CLIPS = ((20, 32), (20, 24), (60, 12))
"""Encoded before the first call, so that no call waits for them."""
_GOLDEN_RATIO = 0.6180339887498949
"""Multiples of it, modulo 1, spread any number of legs evenly over a frame."""


@functools.cache
def machine_clock_id() -> str:
    """Returns a name of this machine's monotonic clock. Times of clocks with equal names can be compared."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    namespace = Path("/proc/self/timens_offsets")
    offsets = namespace.read_text(encoding="utf-8").split() if namespace.exists() else []
    return boot + "".join(f"-{offset}" for offset in offsets if offset.lstrip("-").isdigit() and int(offset))


class CountedLeg(Protocol):
    """A leg as the process counts it."""

    @property
    def tier(self) -> Tier:
        """``packets`` or ``media``."""

    @property
    def packets_sent(self) -> int:
        """RTP packets, audio and video."""

    @property
    def packets_received(self) -> int:
        """RTP packets, audio and video."""

    @property
    def datagrams_dropped(self) -> int:
        """Datagrams that the leg's own socket refused or dropped."""

    async def close(self) -> MediaStats:
        """Ends the leg. Safe to call twice."""


class MediaProcess:
    """One per process, owned by the factory."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Clock, limits: ConnectLimits, make_alarm: MakeAlarm
    ) -> None:
        self.clock = clock
        self.limits = limits
        self.ticker = Ticker(loop, clock, make_alarm)
        self.hub = SocketHub(loop, clock.monotonic_s)
        self.certificate: SharedCertificate = SharedCertificate.generateCertificate()
        self.clock_id = machine_clock_id()
        self.in_buffer = PacketBuffer(self.hub.buffer)
        self.out_buffer = PacketBuffer(bytearray(DATAGRAM_MAX))
        self.lateness = MsHistogram()
        self.legs: set[CountedLeg] = set()
        for ptime_ms, kbit in _PREENCODED_CLIPS:
            audio_clip(ptime_ms, kbit)
        video_clip()
        voice_envelope(live=True)
        self._legs_opened = 0
        self._closed_sent = self._closed_received = self._closed_dropped = 0

    def unix_of(self, monotonic_s: float) -> float:
        """Returns the Unix time of a monotonic one."""
        return monotonic_s + self.clock.unix_s() - self.clock.monotonic_s()

    def next_phase(self) -> float:
        """Returns when in the frame the next leg sends, 0..1."""
        self._legs_opened += 1
        return self._legs_opened * _GOLDEN_RATIO % 1.0

    def leg_closed(self, leg: CountedLeg) -> None:
        """Adds a leg's counts to the totals."""
        if leg in self.legs:
            self.legs.remove(leg)
            self._closed_sent += leg.packets_sent
            self._closed_received += leg.packets_received
            self._closed_dropped += leg.datagrams_dropped

    def health(self) -> MediaHealth:
        """Returns the figures since the last call, and the totals."""
        lateness = self.lateness
        health = MediaHealth(
            send_late_p99_ms=lateness.quantile_ms(0.99) or 0.0,
            send_late_max_ms=max(0.0, lateness.max_ms),
            packets_sent=self._closed_sent + _total(leg.packets_sent for leg in self.legs),
            packets_received=self._closed_received + _total(leg.packets_received for leg in self.legs),
            datagrams_dropped=self._closed_dropped + _total(leg.datagrams_dropped for leg in self.legs),
            active_legs=len(self.legs),
            active_probe_legs=_total(leg.tier is Tier.MEDIA for leg in self.legs),
            callback_errors=self.ticker.callback_errors + self.hub.callback_errors,
        )
        lateness.clear()
        return health

    def close(self) -> None:
        """Closes sockets and timers."""
        self.hub.close()
        self.ticker.close()


def _total(counts: Iterable[int]) -> int:
    return sum(counts)

"""Describes one measured level of the bench, and decides whether it broke."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from bedrock.quantile import quantile

Media = Literal["audio", "video"]

LATE_LIMIT_MS = 5.0
"""A quarter of an audio frame. A generator that sends later adds its own jitter to what it measures."""
FULL_CPU_RATIO = 0.97
"""A core busier than this has no time left to send on time."""
STOLEN_LIMIT_RATIO = 0.02
"""A step during which the hypervisor took more of the core than this is repeated: it says nothing about us."""

CRITERIA = {
    "late": f"send lateness p99 over {LATE_LIMIT_MS:g} ms; a packet's lateness is the time it is handed to the socket "
    "layer less the time it was due on an absolute schedule",
    "lost": "one packet lost by the generator: missing in the sequence numbers at a leg of the same process, refused "
    "by the kernel, or dropped because our receive buffer was full",
    "full": f"more than {FULL_CPU_RATIO:.0%} of the core in use",
    "fewer": "less than 99 % of the packets that the calls should have sent",
}
"""What breaks a level, in words."""


class BenchStep(msgspec.Struct, frozen=True, kw_only=True):
    """Calls held at the same time for some seconds, both legs in one process on one core."""

    arm: str
    """``engine`` (ours) or ``aiortc`` (stock)."""
    media: Media
    calls: int
    seconds: float
    cpu_ratio: float
    """CPU time of the process over wall time: 1.0 is a whole core."""
    cpu_ms_per_call_second: float
    send_late_p50_ms: float
    send_late_p99_ms: float
    send_late_max_ms: float
    packets_due: int
    """Audio packets that the calls should have sent. For video, those that they sent: its frames differ in packets."""
    packets_sent: int
    packets_received: int
    lost: int
    """Packets lost by the generator, of any kind; see CRITERIA."""
    rss_mb: float
    """Resident memory of the process at the end of the step."""
    stolen_ratio: float
    """Share of the core's time that the hypervisor gave to others."""

    def broken_by(self) -> str:
        """Returns which criterion this level fails; empty when it holds."""
        if self.lost:
            return f"lost {self.lost} of {self.packets_sent} packets"
        if self.send_late_p99_ms > LATE_LIMIT_MS:
            return f"send lateness p99 {self.send_late_p99_ms:.1f} ms"
        if self.packets_sent < 0.99 * self.packets_due:
            return f"sent {self.packets_sent} of {self.packets_due} packets due"
        if self.cpu_ratio > FULL_CPU_RATIO:
            return f"{self.cpu_ratio:.0%} of the core in use"
        return ""


class SetUps(msgspec.Struct, frozen=True, kw_only=True):
    """Calls set up and ended, as many as the core can: ICE, DTLS, first audio both ways, end."""

    arm: str
    calls: int
    seconds: float
    cpu_ratio: float
    cpu_ms: float
    """CPU time of one call's two legs, from the first description until both legs are closed."""
    calls_per_s_core: float
    """Calls per CPU second: what one core carries when it does nothing else."""
    set_up_p50_ms: float
    set_up_p95_ms: float
    """From the offer to the first audio at both ends."""
    failed: int

    @classmethod
    def of(cls, arm: str, took_ms: Sequence[float], *, seconds: float, cpu_s: float, failed: int) -> SetUps:
        """Returns the figures of set-ups that took ``took_ms`` each and ``cpu_s`` of CPU time together."""
        done = len(took_ms)
        return cls(
            arm=arm,
            calls=done,
            seconds=round(seconds, 3),
            cpu_ratio=round(cpu_s / seconds, 4),
            cpu_ms=round(1000 * cpu_s / done, 3) if done else 0.0,
            calls_per_s_core=round(done / cpu_s, 1),
            set_up_p50_ms=round(quantile(took_ms, 0.5) or 0.0, 2),
            set_up_p95_ms=round(quantile(took_ms, 0.95) or 0.0, 2),
            failed=failed,
        )

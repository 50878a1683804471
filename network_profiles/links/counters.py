"""The packet counters of a link."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DirectionCounters:
    """Counters of one direction since the link was opened. Bytes count whole IP packets."""

    packets: int
    """Packets offered to the link."""
    bytes: int
    delivered_packets: int
    """Packets that the link did not drop, those still on their way included."""
    delivered_bytes: int
    drops: dict[str, int]
    """Dropped packets by cause: ``loss``, ``queue``, ``outage``."""
    refused: int
    """Packets that the kernel did not accept from the daemon. The harness dropped them, not the link."""
    overrun: int
    """Packets that the kernel dropped before the daemon read them. The harness dropped them, not the link."""
    late_p99_ms: float | None
    """99th percentile of lateness against the model's time, since the previous reading. None with netem: the kernel
    does not report it."""
    late_max_ms: float | None


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """Both directions of a link."""

    down: DirectionCounters
    up: DirectionCounters

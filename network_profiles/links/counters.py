"""What a link's daemon counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DirectionCounters:
    """One direction, totals since the link was opened. Bytes are those of whole IP packets."""

    packets: int
    """Offered to the link."""
    bytes: int
    delivered_packets: int
    """Including those still on their way."""
    delivered_bytes: int
    drops: dict[str, int]
    """Packets by cause: ``loss``, ``queue``, ``outage``."""
    refused: int
    """Packets that the kernel did not take from the daemon: the harness's fault, not the link's."""
    overrun: int
    """Packets that the kernel dropped before the daemon could read them: the harness's fault, not the link's."""
    late_p99_ms: float | None
    """Since the previous reading: how late packets left against the model's moment. None where the kernel carries them
    and does not say."""
    late_max_ms: float | None


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """Both directions of a link."""

    down: DirectionCounters
    up: DirectionCounters

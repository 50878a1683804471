"""Reads the link's own counts of dropped packets, by cause, both directions together."""

from __future__ import annotations

from dataclasses import dataclass

from network_profiles.links.open_link import LinkCounters


@dataclass(frozen=True, slots=True)
class LinkDrops:
    """Packets that the shaped link did not deliver."""

    lost: int = 0
    queue: int = 0
    outage: int = 0
    harness: int = 0
    """Packets that the kernel or the link's process lost, against the profile."""
    late_p99_ms: float = 0.0
    """How late packets left the link against its model, in the worse direction."""

    @property
    def total(self) -> int:
        """Packets that the profile itself dropped."""
        return self.lost + self.queue + self.outage


def link_drops(counters: LinkCounters, before: LinkCounters) -> LinkDrops:
    """Returns the drops between two readings."""

    def of(cause: str) -> int:
        now = counters.up.drops.get(cause, 0) + counters.down.drops.get(cause, 0)
        return now - before.up.drops.get(cause, 0) - before.down.drops.get(cause, 0)

    now, then = (counters.up, counters.down), (before.up, before.down)
    return LinkDrops(
        lost=of("loss"),
        queue=of("queue"),
        outage=of("outage"),
        harness=sum(one.refused + one.overrun for one in now) - sum(one.refused + one.overrun for one in then),
        late_p99_ms=max(one.late_p99_ms or 0.0 for one in now),
    )

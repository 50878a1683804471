"""The proof's result: what was wanted of a link and what it gave, a figure a line, for each direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EVIDENCE_FORMAT = 1
LATE_LINK_MS = 2.0
"""The least of the proof's tolerances: a link whose own process woke later than this may miss it for that alone."""
LATE_PROBE_MS = 50.0
"""Half of the time that a probe leaves its last packets to come out."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one direction: ``goodput_kbit``, ``owd_ms``, ``loss_ratio``, ``queue_ms`` …"""

    side: str
    """``down`` or ``up``."""
    name: str
    wanted: float
    """What the profile says."""
    got: float | None
    """None when too few packets came to tell."""
    low: float
    """Least and most that a link which is what the profile says shows, given these very packets."""
    high: float
    samples: int
    """Packets that the figure was read from."""
    expected: float | None = None
    """What the link model gives for these very packets, where that is not what the profile says: a packet's own time on
    the wire is in its delay, and a link that keeps order delays more than its median."""
    interval: tuple[float, float] | None = None
    """Exact 99 % interval (Clopper-Pearson) of what was measured, for a ratio."""

    @property
    def ok(self) -> bool:
        return self.got is not None and self.low <= self.got <= self.high

    def __str__(self) -> str:
        got = "unknown (too few packets came through)" if self.got is None else f"{self.got:.5g}"
        return f"{self.side} {self.name} {got}, wanted {self.low:.5g} to {self.high:.5g} ({self.samples} packets)"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one probe of one link showed. Rates count whole IP packets."""

    profile_id: str
    backend: str
    at_s: float
    """Unix seconds at the probe's start."""
    duration_s: float
    figures: tuple[Figure, ...]
    seed: int | None = None
    """Of the link's chance, where the proof chose it."""
    first_misses: tuple[str, ...] = ()
    """What earlier looks held against the link, when a later one decided."""
    not_shaped: tuple[str, ...] = ()
    """What the profile asks for and this backend does not do at all, a phrase each."""
    network_scope: str = "machine"
    """``user_namespace`` where the link was that of a user without root."""
    link_late_ms: float | None = None
    """How late the link's own process let a packet go, at most; None where the kernel carries them."""
    probe_late_ms: float = 0.0
    """How late an end of the probe sent a packet against its plan, at most."""

    @property
    def ok(self) -> bool:
        return not self.misses

    @property
    def misses(self) -> list[str]:
        """A sentence for each figure outside its bounds."""
        return [str(figure) for figure in self.figures if not figure.ok]

    @property
    def machine_was_late(self) -> bool:
        """Whether this machine kept the link or the probe waiting, so that a miss may be its own.

        Where no process of the link tells, the probe has to have been as prompt as a link.
        """
        if self.link_late_ms is None:
            return self.probe_late_ms > LATE_LINK_MS
        return self.link_late_ms > LATE_LINK_MS or self.probe_late_ms > LATE_PROBE_MS

    @property
    def lateness(self) -> str:
        """A sentence on how late this machine was; empty when it was not."""
        if not self.machine_was_late:
            return ""
        link = "" if self.link_late_ms is None else f"the link let packets go up to {self.link_late_ms:.3g} ms late, "
        return f"this machine was short of CPU: {link}the probe sent up to {self.probe_late_ms:.3g} ms late"

    def to_dict(self) -> dict[str, Any]:
        """Returns the evidence as JSON-ready tables: ``down`` and ``up`` hold a table for each figure."""
        directions: dict[str, dict[str, Any]] = {}
        for figure in self.figures:
            directions.setdefault(figure.side, {})[figure.name] = {
                "wanted": figure.wanted,
                "got": figure.got,
                "low": figure.low,
                "high": figure.high,
                "samples": figure.samples,
                "ok": figure.ok,
                **({} if figure.expected is None else {"expected": figure.expected}),
                **({} if figure.interval is None else {"interval": list(figure.interval)}),
            }
        return {
            "format": EVIDENCE_FORMAT,
            "profile": self.profile_id,
            "backend": self.backend,
            "lab": self.network_scope,
            "ok": self.ok,
            "misses": self.misses,
            "at_s": self.at_s,
            "duration_s": self.duration_s,
            "seed": self.seed,
            "first_misses": list(self.first_misses),
            "link_late_ms": self.link_late_ms,
            "probe_late_ms": self.probe_late_ms,
            **({"not_shaped": list(self.not_shaped)} if self.not_shaped else {}),
            **directions,
        }

"""The result of a proof: each figure measured on a link, with its allowed bounds, per direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EVIDENCE_FORMAT = 1
LATE_LINK_MS = 2.0
"""The smallest tolerance on delay. A link whose own process woke later than this may miss it for that reason alone."""
LATE_PROBE_MS = 50.0
"""Half of the time that a probe waits for its last packets."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one direction: ``goodput_kbit``, ``owd_ms``, ``loss_ratio``, ``queue_ms`` …"""

    side: str
    """``down`` or ``up``."""
    name: str
    wanted: float
    """The profile's value."""
    got: float | None
    """The measured value; None when too few packets arrived."""
    low: float
    """``low`` and ``high``: the least and most that a correct link shows for the same packets."""
    high: float
    samples: int
    """Packets that the figure is computed from."""
    expected: float | None = None
    """The link model's value for the same packets, where it differs from the profile's. A packet's delay includes its
    time on the wire, and keeping packets in order raises the median delay."""
    interval: tuple[float, float] | None = None
    """Exact 99 % interval (Clopper-Pearson) of a measured ratio."""

    @property
    def ok(self) -> bool:
        return self.got is not None and self.low <= self.got <= self.high

    def __str__(self) -> str:
        got = "unknown (too few packets arrived)" if self.got is None else f"{self.got:.5g}"
        return f"{self.side} {self.name} {got}, allowed {self.low:.5g} to {self.high:.5g} ({self.samples} packets)"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The figures of one probe of one link. Rates count whole IP packets."""

    profile_id: str
    backend: str
    at_s: float
    """Unix seconds at the probe's start."""
    duration_s: float
    figures: tuple[Figure, ...]
    seed: int | None = None
    """Seed of the link, where the proof chose it."""
    first_misses: tuple[str, ...] = ()
    """Misses of earlier measurements, when a later one decided."""
    not_shaped: tuple[str, ...] = ()
    """Parts of the profile that this backend does not shape, one phrase each."""
    network_scope: str = "machine"
    """``user_namespace`` for a link of a user without root; JSON calls it ``lab``."""
    link_late_ms: float | None = None
    """Highest lateness of a packet that left the link's own process; None with netem."""
    probe_late_ms: float = 0.0
    """Highest lateness of a packet that an endpoint of the probe sent, against its plan."""

    @property
    def ok(self) -> bool:
        return not self.misses

    @property
    def misses(self) -> list[str]:
        """A sentence for each figure outside its bounds."""
        return [str(figure) for figure in self.figures if not figure.ok]

    @property
    def machine_was_late(self) -> bool:
        """Whether this machine delayed the link or the probe, so that the machine may have caused a miss.

        With netem, whose lateness is unknown, the probe must keep the link's own limit.
        """
        if self.link_late_ms is None:
            return self.probe_late_ms > LATE_LINK_MS
        return self.link_late_ms > LATE_LINK_MS or self.probe_late_ms > LATE_PROBE_MS

    @property
    def lateness(self) -> str:
        """A sentence that says how late this machine was; empty when it was on time."""
        if not self.machine_was_late:
            return ""
        link = "" if self.link_late_ms is None else f"the link sent packets up to {self.link_late_ms:.3g} ms late, "
        return f"this machine was short of CPU: {link}the probe sent packets up to {self.probe_late_ms:.3g} ms late"

    def to_dict(self) -> dict[str, Any]:
        """Returns the evidence as JSON-ready tables. ``down`` and ``up`` hold one table per figure."""
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

"""The proof's result: what was wanted of a link and what it gave, a figure a line, for each direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EVIDENCE_FORMAT = 1


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
    """What a first look held against the link, and a second one, on a link of its own, decided."""
    not_shaped: tuple[str, ...] = ()
    """What the profile asks for and this backend does not do at all, a phrase each."""
    lab: str = "machine"
    """``user_namespace`` where the link was that of a user without root."""

    @property
    def ok(self) -> bool:
        return not self.misses

    @property
    def misses(self) -> list[str]:
        """A sentence for each figure outside its bounds."""
        return [str(figure) for figure in self.figures if not figure.ok]

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
            "lab": self.lab,
            "ok": self.ok,
            "misses": self.misses,
            "at_s": self.at_s,
            "duration_s": self.duration_s,
            "seed": self.seed,
            "first_misses": list(self.first_misses),
            **({"not_shaped": list(self.not_shaped)} if self.not_shaped else {}),
            **directions,
        }

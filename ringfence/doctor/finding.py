"""What a check of the doctor returns."""

from __future__ import annotations

from dataclasses import dataclass

from calls.records.record import Tier


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    """The command that brings the missing piece."""
    tiers: frozenset[Tier] = frozenset()
    """Tiers that cannot run without it; empty for a piece that only makes things better."""

"""Defines the result of one check of the doctor."""

from __future__ import annotations

from dataclasses import dataclass

from calls.records.record import Tier


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    """The command that installs or changes what is missing."""
    tiers: frozenset[Tier] = frozenset()
    """Tiers that cannot run without it. Empty: it only makes runs better."""

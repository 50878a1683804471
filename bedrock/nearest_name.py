"""Suggests the name that the user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 100
"""A longer name is no typing error, and comparing it would take long."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ``did you mean 'x'?`` for the closest known name, or the list of known names when none is close."""
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5) if len(name) <= _LONGEST else []
    if close:
        return f"did you mean '{close[0]}'?"
    return "known: " + ", ".join(choices) if choices else ""

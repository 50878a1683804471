"""What the process that judges a window is asked. Apart from it, so that the master loads no database to ask."""

from __future__ import annotations

import msgspec


class JudgeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to judge."""

    run: str
    slo: str
    """A built-in name or a file."""
    from_s: float
    until_s: float
    looks: int
    """How often this step may be looked at: each look gets its part of the allowed error."""
    scenario: str = ""
    """The one scenario of the step; empty for the plan's mixture."""

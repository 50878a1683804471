"""Passes the scenario to the far side: the caller writes its name and the planned talk time into the call's id.

A service passes the id on unchanged, so this works across engines, machines and services. Example:
``swarm-0-3fe1~hold~12000``.
"""

from __future__ import annotations

from typing import NamedTuple

from calls.scenarios.catalogue import SCENARIOS
from calls.scenarios.scenario import Scenario

SEPARATOR = "~"


class Mark(NamedTuple):
    """The scenario and the talk time that a call's id carries."""

    scenario: Scenario
    talk_s: float


def marked(call_id: str, scenario: str, talk_s: float) -> str:
    """Returns ``call_id`` with its scenario in it; unchanged for a scenario that is not in the catalogue."""
    if scenario not in SCENARIOS or mark_of(call_id) is not None:
        return call_id
    return f"{call_id}{SEPARATOR}{scenario}{SEPARATOR}{round(talk_s * 1000)}"


def mark_of(call_id: str) -> Mark | None:
    """Returns the scenario in ``call_id``; None when it carries none that we know."""
    _, _, rest = call_id.partition(SEPARATOR)
    name, _, talk_ms = rest.partition(SEPARATOR)
    if name not in SCENARIOS or not talk_ms.isdecimal() or len(talk_ms) > 9:
        return None
    return Mark(SCENARIOS[name], int(talk_ms) / 1000.0)

"""How the far side learns its part: the caller writes the scenario and the planned talk into the call's id.

A service passes the id on as it is, so this works across engines, machines and services: ``swarm-0-3fe1~hold~12000``.
"""

from __future__ import annotations

from typing import NamedTuple

from calls.scenarios.catalogue import SCENARIOS
from calls.scenarios.scenario import Scenario

SEPARATOR = "~"


class Mark(NamedTuple):
    """What a call's id says."""

    scenario: Scenario
    talk_s: float


def marked(call_id: str, scenario: str, talk_s: float) -> str:
    """Returns ``call_id`` with its scenario in it; unchanged when that is not one of the catalogue."""
    if scenario not in SCENARIOS or mark_of(call_id) is not None:
        return call_id
    return f"{call_id}{SEPARATOR}{scenario}{SEPARATOR}{round(talk_s * 1000)}"


def mark_of(call_id: str) -> Mark | None:
    """Returns what ``call_id`` says, None when it says nothing that we know."""
    _, _, rest = call_id.partition(SEPARATOR)
    name, _, talk_ms = rest.partition(SEPARATOR)
    if name not in SCENARIOS or not talk_ms.isdecimal() or len(talk_ms) > 9:
        return None
    return Mark(SCENARIOS[name], int(talk_ms) / 1000.0)

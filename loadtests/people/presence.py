"""Who is online and who is in a call, as far as one worker knows, and whom to call next."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from calls.scenarios import SCENARIOS
from loadtests.people.population import Population
from loadtests.plan.call_mix import TALK
from loadtests.plan.cooldown import COOLDOWN_S

UNCHECKED_CALL_RATIO = 0.03
"""Share of calls to a contact who is online, without looking whether they talk: where ``busy`` comes from."""
TRIES = 60
"""Callers asked before a start is dropped: enough to find a free one when nine of ten are talking."""
GLARE = "glare"
"""The scenario in which both call each other: each must be allowed to."""
SETTLED_S = 2.0
"""A person counts as safely in a call this long after its start, and until this long before its end."""


@dataclass(frozen=True, slots=True)
class CallPair:
    """Who calls whom, by index."""

    caller: int
    callee: int


class Presence:
    """One worker's view: exact for its own people and calls, as old as the last exchange for those of the others."""

    def __init__(self, population: Population, slot: int) -> None:
        self._contacts = population.contacts
        self._own = frozenset(person.index for person in population.of_slot(slot))
        self._own_online: list[int] = []
        self._position: dict[int, int] = {}
        self._busy: dict[int, int] = {}
        self._talking: dict[int, tuple[float, float]] = {}
        """Since when, and until when at least, whoever is in a call of ours."""
        self._cooldown_until_s: dict[int, float] = {}
        self._others_online = 0
        self._others_busy = 0

    @property
    def online(self) -> int:
        """How many of this worker's own people are signed in."""
        return len(self._own_online)

    def sign_in(self, index: int) -> None:
        """Notes that one of our people is online."""
        if index not in self._position:
            self._position[index] = len(self._own_online)
            self._own_online.append(index)

    def sign_out(self, index: int) -> None:
        """Notes that one of our people is offline."""
        position = self._position.pop(index, None)
        if position is not None:
            last = self._own_online.pop()
            if last != index:
                self._own_online[position], self._position[last] = last, position

    def sign_out_all(self) -> None:
        """Notes that none of our people is online any more."""
        self._own_online.clear()
        self._position.clear()

    def mark_busy(self, pair: CallPair, now_s: float = 0.0, talk_s: float = 0.0) -> None:
        """Notes that a call of ours has begun, and how long it is to talk."""
        for index in (pair.caller, pair.callee):
            self._busy[index] = self._busy.get(index, 0) + 1
            self._talking[index] = (now_s, now_s + talk_s)

    def mark_free(self, pair: CallPair, now_s: float) -> None:
        """Notes that a call of ours is over."""
        for index in (pair.caller, pair.callee):
            left = self._busy.get(index, 0) - 1
            if left > 0:
                self._busy[index] = left
            else:
                self._busy.pop(index, None)
                self._talking.pop(index, None)
                self._cooldown_until_s[index] = now_s + COOLDOWN_S

    def to_wire(self, now_s: float) -> tuple[bytes, bytes]:
        """Returns who of ours is online and whom our calls keep busy, as bit sets."""
        self._cooldown_until_s = {index: until for index, until in self._cooldown_until_s.items() if until > now_s}
        return bits_of(self._own_online), bits_of([*self._busy, *self._cooldown_until_s])

    def hear(self, online: bytes, busy: bytes) -> None:
        """Takes in what the other workers know."""
        self._others_online = int.from_bytes(online, "little")
        self._others_busy = int.from_bytes(busy, "little")

    def pick(self, rng: random.Random, now_s: float, scenario: str = TALK) -> CallPair | None:
        """Returns a free caller of ours and someone they may call, fit for ``scenario``; None when nobody was found."""
        wants_busy = scenario in SCENARIOS and SCENARIOS[scenario].needs_busy_callee
        # A caller who does not look is what a busy signal comes from in real life; a scenario must not meet one.
        blind = rng.random() < UNCHECKED_CALL_RATIO and scenario == TALK
        for _ in range(TRIES if self._own_online else 0):
            caller = rng.choice(self._own_online)
            if self._is_busy(caller, now_s):
                continue
            reachable = [
                contact
                for contact in self._contacts[caller]
                if self._is_online(contact)
                and (wants_busy or blind or not self._is_busy(contact, now_s))
                and (not wants_busy or self._is_mid_call(contact, now_s))
                and (scenario != GLARE or caller in self._contacts[contact])
            ]
            if reachable:
                return CallPair(caller, rng.choice(reachable))
        return None

    def _is_online(self, index: int) -> bool:
        if index in self._own:
            return index in self._position
        return bool(self._others_online >> index & 1)

    def _is_mid_call(self, index: int, now_s: float) -> bool:
        """Whether somebody's call has begun some time ago and will not end for some time, as far as we know."""
        since_s, until_s = self._talking.get(index, (math.inf, -math.inf))
        return since_s + SETTLED_S <= now_s <= until_s - SETTLED_S

    def _is_busy(self, index: int, now_s: float) -> bool:
        return (
            index in self._busy
            or self._cooldown_until_s.get(index, 0.0) > now_s
            or bool(self._others_busy >> index & 1)
        )


def bits_of(indexes: list[int]) -> bytes:
    """Returns a bit set, least significant byte first."""
    if not indexes:
        return b""
    field = bytearray(max(indexes) // 8 + 1)
    for index in indexes:
        field[index // 8] |= 1 << index % 8
    return bytes(field)


def union(sets: list[bytes]) -> bytes:
    """Returns the union of bit sets."""
    merged = 0
    for one in sets:
        merged |= int.from_bytes(one, "little")
    return merged.to_bytes((merged.bit_length() + 7) // 8, "little")

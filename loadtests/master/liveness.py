"""Which workers are there, which are away, and which will not come back.

Locust calls a worker missing when three heartbeats fail to come. That worker may be dead, or it may have been stalled
(a paused container, a machine out of memory) and go on in a moment, with calls in progress and records in its hands.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from bedrock.clock import Clock
from loadtests.records.machine import is_dead

GRACE_S = 15.0
"""A worker that was away for longer is not waited for, unless it is seen again."""


class LivenessChange(Enum):
    """What became of a worker."""

    AWAY = "away"
    BACK = "back"
    GONE = "gone"
    """Dead for certain, or away for longer than anybody waits."""


class WorkerLiveness:
    """Of the workers of one run, by slot. A process that is its own worker is never away."""

    def __init__(self, runner: Any, slots: Mapping[str, int], clock: Clock) -> None:
        self._runner = runner
        self._slots = slots
        self._clock = clock
        self._process_identity: dict[int, dict[str, Any]] = {}
        self._away_since_s: dict[int, float] = {}
        self._dead: set[int] = set()
        self.gone: set[int] = set()

    @property
    def away(self) -> set[int]:
        """Workers that are not heard of now, the gone among them."""
        return set(self._away_since_s)

    def identify(self, slot: int, process_identity: dict[str, Any]) -> None:
        """Notes who a worker is, so that its death can be told from its silence."""
        self._process_identity[slot] = process_identity

    def poll(self) -> list[tuple[LivenessChange, int]]:
        """Returns what changed since the last look."""
        clients = getattr(self._runner, "clients", None)
        if clients is None:
            return []
        changes: list[tuple[LivenessChange, int]] = []
        now_s = self._clock.monotonic_s()
        present = {node.id for node in clients.values() if node.state != "missing"}
        for client_id, slot in self._slots.items():
            if slot in self._process_identity and slot not in self._dead and is_dead(self._process_identity[slot]):
                self._dead.add(slot)
            if client_id in present and slot not in self._dead:
                if self._away_since_s.pop(slot, None) is not None:
                    self.gone.discard(slot)
                    changes.append((LivenessChange.BACK, slot))
                continue
            if slot in self.gone:
                continue
            if slot not in self._away_since_s:
                self._away_since_s[slot] = now_s
                changes.append((LivenessChange.AWAY, slot))
            if slot in self._dead or now_s - self._away_since_s[slot] > GRACE_S:
                self.gone.add(slot)
                changes.append((LivenessChange.GONE, slot))
        return changes

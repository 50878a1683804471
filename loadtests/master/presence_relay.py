"""The master's switchboard: tells every worker who of the others' people is online and busy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bedrock.clock import Clock
from loadtests.people.presence import union
from loadtests.wire import shutdown_protocol

SILENT_S = 2.5
"""A worker says at least once a second who is online. Silent for longer, its people are not called any more."""


class PresenceRelay:
    """Passes presence on at once: an old answer is a call to a busy person."""

    def __init__(self, runner: Any, slots: Mapping[str, int], clock: Clock) -> None:
        self._runner = runner
        self._slots = slots
        self._clock = clock
        self._presence: dict[int, tuple[bytes, bytes]] = {}
        self._heard_at_s: dict[int, float] = {}

    def hear(self, slot: int, online: bytes, busy: bytes) -> None:
        """Takes in one worker's people, as bit sets, and tells the others."""
        self._heard_at_s[slot] = self._clock.monotonic_s()
        self._presence[slot] = (online, busy)
        self._tell()

    def drop(self, slot: int) -> None:
        """Takes a worker's people offline."""
        if self._presence.pop(slot, None) is not None:
            self._tell()

    def drop_the_silent(self) -> None:
        """Takes the people of silent workers offline, seconds before Locust misses their heartbeats."""
        for slot, heard_at_s in self._heard_at_s.items():
            if self._clock.monotonic_s() - heard_at_s > SILENT_S:
                self.drop(slot)

    def _tell(self) -> None:
        for client_id, slot in self._slots.items():
            others = [state for other, state in self._presence.items() if other != slot]
            data = {"online": union([one[0] for one in others]), "busy": union([one[1] for one in others])}
            self._runner.send_message(shutdown_protocol.OTHERS, data, client_id)

"""A calling service without a wire, for engines in held time: every message comes ``way_s`` after it was said."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bedrock.clock import Clock
from calls.access_link import AccessLink
from calls.call_rules import Told
from calls.errors import NotDelivered
from calls.targets.protocol import Listener, Policy, Signal


class HeldTarget:
    """Made by the engine, by its name: ``held_service:HeldTarget``. What stands behind the # of the URL is the way."""

    def __init__(self, url: str, _clock: Clock) -> None:
        self.way_s = float(url.partition("#")[2] or 0.0)
        self.online: dict[str, HeldSession] = {}
        self.sides: dict[str, tuple[HeldSession, HeldSession]] = {}
        """By call: who called, and who was called."""

    async def sign_in(
        self, name: str, _password: str, listener: Listener, _link: AccessLink | None, _timeout_s: float
    ) -> HeldSession:
        await asyncio.sleep(2 * self.way_s)
        self.online[name] = HeldSession(self, name, listener)
        return self.online[name]

    async def close(self) -> None:
        self.online.clear()


@dataclass(eq=False)
class HeldSession:
    """One person's connection."""

    target: HeldTarget
    name: str
    listener: Listener
    policy: Policy = field(default_factory=lambda: Policy(degradation=False, no_answer_s=None))
    rtt_ms: float | None = None
    is_up: bool = True

    def invite(self, call_id: str, to: str, media: str, sdp: str) -> None:
        other = self.target.online.get(to)
        if other is None:
            self._tell(Signal(Told.REFUSED, call_id, code="offline"), 2)
            return
        self.target.sides[call_id] = (self, other)
        self._tell(Signal(Told.TRYING, call_id), 2)
        other._tell(Signal(Told.INCOMING, call_id, peer=self.name, media=media, sdp=sdp), 2)

    def ring(self, call_id: str) -> None:
        self._other(call_id)._tell(Signal(Told.RINGING, call_id), 2)

    def answer(self, call_id: str, media: str, sdp: str) -> None:
        self._other(call_id)._tell(Signal(Told.ANSWERED, call_id, media=media, sdp=sdp), 2)

    def decline(self, call_id: str) -> None:
        self._end(call_id, "declined")

    def cancel(self, call_id: str) -> None:
        self._end(call_id, "canceled")

    def hang_up(self, call_id: str) -> None:
        self._end(call_id, "hangup")

    async def send_text(self, to: str, _text: str, _timeout_s: float) -> None:
        await asyncio.sleep(2 * self.target.way_s)
        if to not in self.target.online:
            raise NotDelivered(f"nobody is called {to}", code="error_unknown_user")

    async def close(self) -> None:
        self.is_up = False
        self.target.online.pop(self.name, None)

    def _other(self, call_id: str) -> HeldSession:
        caller, callee = self.target.sides[call_id]
        return callee if self is caller else caller

    def _end(self, call_id: str, reason: str) -> None:
        told = Signal(Told.ENDED, call_id, code=reason)
        self._other(call_id)._tell(told, 2)
        self._tell(told, 2)

    def _tell(self, signal: Signal, ways: int) -> None:
        asyncio.get_running_loop().call_later(ways * self.target.way_s, self.listener.on_signal, signal)

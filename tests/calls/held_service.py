"""A calling service without a wire, for engines in held time.

A message takes ``way_s`` from a person to the service and as long from it to the other, and passes the access links of
both. Made by the engine, by its name: ``held_service:HeldTarget``; behind the # of its URL stands the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bedrock.clock import Clock
from calls.call.call_rules import SHADOWED, SignalType
from calls.errors import NotDelivered
from calls.media.access_link import AccessLink
from calls.targets.protocol import Listener, Policy, Signal

MESSAGE_BYTES = 80
"""Of a message without a description."""


class HeldTarget:
    """The service of one engine; ``degradation`` holds for who signs in from then on."""

    degradation = True

    def __init__(self, url: str, _clock: Clock) -> None:
        self.way_s = float(url.partition("#")[2] or 0.0)
        self.online: dict[str, HeldSession] = {}
        self.sides: dict[str, tuple[HeldSession, HeldSession]] = {}
        """By call: who called, and who was called."""

    async def sign_in(
        self, name: str, _password: str, listener: Listener, link: AccessLink | None, _timeout_s: float
    ) -> HeldSession:
        session = HeldSession(self, name, listener, link, Policy(self.degradation, None))
        await session.ping()
        self.online[name] = session
        return session

    async def close(self) -> None:
        self.online.clear()


@dataclass(eq=False)
class HeldSession:
    """One person's connection."""

    target: HeldTarget
    name: str
    listener: Listener
    link: AccessLink | None
    policy: Policy
    rtt_ms: float | None = None
    is_up: bool = True

    def invite(self, call_id: str, to: str, media: str, sdp: str) -> None:
        def arrives() -> None:
            other = self.target.online.get(to)
            if other is None:
                self._hear(Signal(SignalType.REFUSED, call_id, code="offline"))
                return
            self.target.sides[call_id] = (self, other)
            self._hear(Signal(SignalType.TRYING, call_id))
            other._hear(Signal(SignalType.INCOMING, call_id, peer=self.name, media=media, sdp=sdp))

        self._up(len(sdp), arrives)

    def shadow(self, call_id: str, _to: str, _media: str, sdp: str) -> None:
        self._up(len(sdp), lambda: self._hear(Signal(SignalType.ENDED, call_id, code=SHADOWED)))

    def ring(self, call_id: str) -> None:
        self._tell(Signal(SignalType.RINGING, call_id))

    def answer(self, call_id: str, media: str, sdp: str) -> None:
        self._tell(Signal(SignalType.ANSWERED, call_id, media=media, sdp=sdp))

    def reoffer(self, call_id: str, media: str, sdp: str, _reason: str) -> None:
        self._tell(Signal(SignalType.REOFFER, call_id, media=media, sdp=sdp))

    def reanswer(self, call_id: str, media: str, sdp: str) -> None:
        self._tell(Signal(SignalType.REANSWER, call_id, media=media, sdp=sdp))

    def want_media(self, call_id: str, media: str, _reason: str) -> None:
        self._tell(Signal(SignalType.MEDIA, call_id, media=media))

    def decline(self, call_id: str) -> None:
        self._end(call_id, "declined")

    def cancel(self, call_id: str) -> None:
        self._end(call_id, "canceled")

    def hang_up(self, call_id: str) -> None:
        self._end(call_id, "hangup")

    async def send_text(self, to: str, _text: str, _timeout_s: float) -> None:
        await self.ping()
        if to not in self.target.online:
            raise NotDelivered(f"nobody is called {to}", code="error_unknown_user")

    async def close(self) -> None:
        self.is_up = False
        self.target.online.pop(self.name, None)

    async def ping(self) -> None:
        """Measures the round trip."""
        loop = asyncio.get_running_loop()
        began_s, ponged = loop.time(), asyncio.Event()
        self._up(0, lambda: self._down(0, ponged.set))
        await ponged.wait()
        self.rtt_ms = (loop.time() - began_s) * 1000

    def _tell(self, signal: Signal) -> None:
        """Has the service hand ``signal`` to the other side of its call."""

        def arrives() -> None:
            caller, callee = self.target.sides[signal.call_id]
            (callee if self is caller else caller)._hear(signal)

        self._up(len(signal.sdp), arrives)

    def _end(self, call_id: str, reason: str) -> None:
        ended = Signal(SignalType.ENDED, call_id, code=reason)
        self._tell(ended)
        self._up(0, lambda: self._hear(ended))

    def _hear(self, signal: Signal) -> None:
        self._down(len(signal.sdp), lambda: self.listener.on_signal(signal))

    def _up(self, size_bytes: int, arrives: Callable[[], None]) -> None:
        def sent() -> None:
            asyncio.get_running_loop().call_later(self.target.way_s, arrives)

        if self.link is None:
            sent()
        else:
            self.link.send_up_reliable(MESSAGE_BYTES + size_bytes, sent)

    def _down(self, size_bytes: int, arrives: Callable[[], None]) -> None:
        def sent() -> None:
            if self.link is None:
                arrives()
            else:
                self.link.send_down_reliable(MESSAGE_BYTES + size_bytes, arrives)

        asyncio.get_running_loop().call_later(self.target.way_s, sent)

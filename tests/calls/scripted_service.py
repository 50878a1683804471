"""A calling service that answers by a script, and a person signed in to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import WSCloseCode, WSMsgType, web
from held_time import time_of
from waiting import HANG_LIMIT_S

from calls.call.call_rules import SignalType
from calls.targets.protocol import Signal
from calls.targets.reference import ReferenceTarget
from calls.targets.reference_session import ReferenceSession

WELCOME = {"type": "welcome", "user": {}, "contacts": [], "policy": {"degradation": True, "no_answer_s": 30}}


class Person:
    """Listens, and lets a test wait for what it hears."""

    def __init__(self) -> None:
        self.signals: asyncio.Queue[Signal] = asyncio.Queue()
        self.resuming: list[str] = []
        self.garbage: list[str] = []
        self.lost = asyncio.Event()

    def on_signal(self, signal: Signal) -> None:
        self.signals.put_nowait(signal)

    def on_resuming(self, call_id: str) -> None:
        self.resuming.append(call_id)

    def on_garbage(self, what: str) -> None:
        self.garbage.append(what)

    def on_lost(self) -> None:
        self.lost.set()

    async def hears(self, what: SignalType) -> Signal:
        signal = await asyncio.wait_for(self.signals.get(), HANG_LIMIT_S)
        assert signal.what is what
        return signal


class Service:
    """Speaks the protocol by rote; ``said`` is what clients said, ``replies`` what it answers to a type."""

    def __init__(self) -> None:
        self.sign_in: Callable[[], web.Response] = lambda: web.json_response({"token": "t", "user": {}})
        self.greeting: dict[str, Any] | str | None = WELCOME
        self.answers_pings = True
        self.replies: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.socket: web.WebSocketResponse | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_post("/api/sign-in", self._sign_in)
        app.router.add_get("/ws", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            if self.socket is not None:
                await self.socket.close(code=WSCloseCode.GOING_AWAY)
            await runner.cleanup()

    async def say(self, kind: str, **fields: Any) -> None:
        assert self.socket is not None
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def heard(self, kind: str) -> dict[str, Any]:
        while True:
            message = await asyncio.wait_for(self.said.get(), HANG_LIMIT_S)
            if message["type"] == kind:
                return message

    def cut(self) -> None:
        """The TCP connection dies without a word."""
        assert self.socket is not None
        transport = self.socket._req.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.abort()

    async def _sign_in(self, _request: web.Request) -> web.Response:
        return self.sign_in()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.said.put_nowait(json.loads((await socket.receive()).data))
        if self.greeting is None:
            await socket.close()
            return socket
        await socket.send_str(self.greeting if isinstance(self.greeting, str) else json.dumps(self.greeting))
        self.socket = socket
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                message = json.loads(frame.data)
                if message["type"] == "ping" and self.answers_pings:
                    await socket.send_str(json.dumps({"type": "pong", "n": message["n"]}))
                elif reply := self.replies.get(message["type"]):
                    await socket.send_str(json.dumps(reply(message)))
                self.said.put_nowait(message)
        return socket


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
async def target(service: Service) -> AsyncIterator[ReferenceTarget]:
    target = ReferenceTarget(service.url, time_of(asyncio.get_running_loop())[0])
    yield target
    await target.close()


@pytest.fixture
async def signed_in(service: Service, target: ReferenceTarget) -> AsyncIterator[tuple[Person, ReferenceSession]]:
    person = Person()
    session = await target.sign_in("ann", "x", person, None, 5.0)
    await service.heard("hello")
    await service.heard("ping")
    yield person, session
    await session.close()

"""The service as a real process, and real WebSocket clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from waiting import HANG_LIMIT_S, eventually_awaited

REPOSITORY = Path(__file__).parents[2]
TOKEN = "admin-token-of-the-tests"
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"


class Client:
    """One signed-in socket; ``expect`` waits for the next message and insists on its type."""

    def __init__(self, name: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.name = name
        self.socket = socket
        self.welcome: dict[str, Any] = {}

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(HANG_LIMIT_S):
            frame = await self.socket.receive()
        assert frame.type is aiohttp.WSMsgType.TEXT, f"{self.name} got {frame}"
        heard: dict[str, Any] = json.loads(frame.data)
        return heard

    async def expect(self, kind: str, **fields: Any) -> dict[str, Any]:
        heard = await self.hear()
        assert heard["type"] == kind, f"{self.name} expected {kind}, heard {heard}"
        assert {key: heard.get(key) for key in fields} == fields
        return heard

    async def who_is_online(self) -> set[str]:
        await self.say("contacts.list", ref=1)
        contacts = (await self.expect("contacts", ref=1))["contacts"]
        return {contact["name"] for contact in contacts if contact["online"]}

    async def expect_silence(self) -> None:
        """Nothing that was sent before this reaches the client: its own ping comes back first."""
        await self.say("ping", n=4711)
        await self.expect("pong", n=4711)

    async def expect_close(self) -> int:
        async with asyncio.timeout(HANG_LIMIT_S):
            while (frame := await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert frame.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), frame
        return self.socket.close_code or 0

    def vanish(self) -> None:
        """The device is gone: no close frame, the TCP connection just dies."""
        writer = self.socket._writer
        assert writer is not None
        writer.transport.abort()


class AnyService:
    """A service at its URL, and the clients that tests open of it."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self._call_ids = itertools.count(1)

    def new_call_id(self) -> str:
        return f"call-{next(self._call_ids)}"

    async def admin(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.http.request(method, self.url + path, json=body, headers=headers) as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def seed(self, *names: str, follows: list[tuple[str, str]] | None = None, **more: Any) -> None:
        """Seeds people with their name as password. Everybody follows everybody unless ``follows`` says otherwise."""
        users = [{"name": name, "display_name": name.title(), "password": name} for name in names]
        ties = [(a, b) for a in names for b in names if a != b] if follows is None else follows
        await self.admin("POST", "/admin/seed", {"users": users, "follows": ties, **more})

    async def sign_in(self, name: str, base: str | None = None) -> str:
        body = {"name": name, "password": name}
        async with self.http.post(f"{base or self.url}/api/sign-in", json=body) as response:
            assert response.status == 200, await response.text()
            return str((await response.json())["token"])

    async def open_socket(self, base: str | None = None, **options: Any) -> aiohttp.ClientWebSocketResponse:
        """A bare WebSocket that has not said hello."""
        patience = aiohttp.ClientWSTimeout(ws_close=0.2)
        socket = await self.http.ws_connect(f"{base or self.url}/ws", timeout=patience, **options)
        self._sockets.append(socket)
        return socket

    async def close_sockets(self) -> None:
        await asyncio.gather(*(socket.close() for socket in self._sockets))

    async def connect(self, name: str, base: str | None = None, **options: Any) -> Client:
        token = await self.sign_in(name, base)
        client = Client(name, await self.open_socket(base, **options))
        await client.say("hello", token=token, client="test")
        client.welcome = await client.expect("welcome")
        return client

    async def ring(self, caller: Client, callee: Client, **fields: Any) -> str:
        """Places a call and lets the callee's device ring; returns the call id."""
        call_id = self.new_call_id()
        body = {"to": callee.name, "media": "audio", "sdp": SDP, **fields}
        await caller.say("call.invite", call_id=call_id, **body)
        await caller.expect("call.trying", call_id=call_id)
        await callee.expect("call.incoming", call_id=call_id)
        await callee.say("call.ringing", call_id=call_id)
        await caller.expect("call.ringing", call_id=call_id)
        return call_id

    async def talk(self, caller: Client, callee: Client) -> str:
        """Places a call that is answered; returns the call id."""
        call_id = await self.ring(caller, callee)
        await callee.say("call.answer", call_id=call_id, media="audio", sdp=SDP)
        await caller.expect("call.answered", call_id=call_id)
        return call_id

    async def hear_end(self, call_id: str, reason: str, by: str | None, *clients: Client) -> None:
        for client in clients:
            await client.expect("call.ended", call_id=call_id, reason=reason, by=by)

    async def logged(self, call_id: str) -> dict[str, Any]:
        """The call as the log has it on disk."""
        page = await self.admin("GET", f"/admin/calls?call_id={call_id}")
        assert len(page["calls"]) == 1, page
        found: dict[str, Any] = page["calls"][0]
        return found

    async def wait_for_event(self, call_id: str, event: str) -> None:
        """Waits until the log of the call holds ``event``."""

        async def is_logged() -> bool:
            return event in [entry["event"] for entry in (await self.logged(call_id))["events"]]

        assert await eventually_awaited(is_logged), f"no {event} in the log of {call_id}"

    async def wait_offline(self, name: str) -> None:
        """Waits until the service has noticed that ``name`` has no socket any more."""
        watcher = await self.connect("bob")

        async def is_offline() -> bool:
            return name not in await watcher.who_is_online()

        assert await eventually_awaited(is_offline), f"{name} never went offline"


class RunningService(AnyService):
    """A service that is a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, http: aiohttp.ClientSession) -> None:
        super().__init__(url, http)
        self.process = process

    async def stop(self) -> int:
        """Asks the service to end; returns its exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), HANG_LIMIT_S)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


Start = Callable[..., Awaitable[RunningService]]
"""Starts a service with these arguments; see the fixture ``start``."""


async def launch(*arguments: str | Path, token: str = TOKEN) -> asyncio.subprocess.Process:
    environment = {**os.environ, "RINGFENCE_ADMIN_TOKEN": token}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "reference_service",
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
        env=environment,
    )


@contextlib.asynccontextmanager
async def adopt(process: asyncio.subprocess.Process) -> AsyncIterator[RunningService]:
    """Waits until the process is ready; it and every client socket are gone at the end."""
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), HANG_LIMIT_S)
        if not line:
            raise AssertionError((await process.stderr.read()).decode())
        async with aiohttp.ClientSession() as http:
            service = RunningService(process, json.loads(line)["url"], http)
            try:
                yield service
            finally:
                await service.close_sockets()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def running(database: Path, *arguments: str, token: str = TOKEN) -> AsyncIterator[RunningService]:
    """A service on ``database`` that stops cleanly and has nothing to complain about."""
    process = await launch("--database", database, *arguments, token=token)
    async with adopt(process) as service:
        yield service
        await service.stop()
        assert process.stderr is not None
        complaints = (await process.stderr.read()).decode()
        assert complaints == "", complaints

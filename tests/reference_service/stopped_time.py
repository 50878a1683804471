"""The service in the test's own process, in a loop whose time stands until the test lets some of it pass."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from service_process import TOKEN, AnyService, Client

from reference_service.__main__ import parse
from reference_service.app import build
from reference_service.service import Service


class StoppedLoop(asyncio.SelectorEventLoop):
    """Sockets and threads work as ever; timers come due only when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        super().__init__()
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.now_s


class ServiceInStoppedTime(AnyService):
    """Serves this process's clients only."""

    def let_pass(self, seconds: float) -> None:
        """Timers that are due by then ring in the order of their times, before anything that the test sends next."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, StoppedLoop)
        loop.now_s += seconds

    async def wait_for_event(self, call_id: str, event: str) -> None:
        """Waits until the log of the call holds ``event``: by asking again at once, for no time passes here."""
        while event not in [entry["event"] for entry in (await self.logged(call_id))["events"]]:
            pass

    async def nothing_ended(self, client: Client, friend: Client) -> None:
        """Nothing that is due by now reaches ``client`` before the answer to a message that it sends after.

        The end of a call is told once it is on disk, and so is the message: the disk takes them in their order.
        """
        await client.say("message.send", ref="after", to=friend.name, text="still there")
        await client.expect("message.ack", ref="after")
        await friend.expect("message.new")


@contextlib.asynccontextmanager
async def in_stopped_time(database: Path, *, no_answer_s: float = 30.0) -> AsyncIterator[ServiceInStoppedTime]:
    """A service with ann, bob, cat and dan, who all follow each other."""
    written = parse(["--database", str(database), "--no-answer-s", str(no_answer_s)])
    settings = dataclasses.replace(written, admin_token=TOKEN)
    async with contextlib.AsyncExitStack() as stack:
        service = Service(settings)
        stack.push_async_callback(service.close)
        await service.load()
        runner, listeners = build(service)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(listeners.stop)
        await listeners.start("127.0.0.1", 0)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        found = ServiceInStoppedTime(f"http://127.0.0.1:{listeners.port}", http)
        stack.push_async_callback(found.close_sockets)
        await found.seed("ann", "bob", "cat", "dan")
        yield found

"""The reference service in the loop of who asks for it, so that its time is held as well."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from calls_world import PASSWORD
from held_time import HeldLoop

from reference_service.app import build
from reference_service.faults import FaultOrder
from reference_service.people.directory import NewAccount
from reference_service.service import Service
from reference_service.settings import Settings


class HeldService:
    """One that runs; ``url`` is where."""

    def __init__(self, service: Service, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._service = service

    async def seed(self, *names: str) -> None:
        people = [NewAccount(name=name, display_name=name, password=PASSWORD, controls="everyone") for name in names]
        await self._service.directory.seed(people, [], [])

    def faults(self, **faults: Any) -> None:
        self._service.faults.apply(FaultOrder(**faults))


@asynccontextmanager
async def held_reference(folder: Path, **settings: Any) -> AsyncIterator[HeldService]:
    """Runs the service until the end of the ``with``; what its store writes in a thread takes no time."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, HeldLoop)
    plain = Settings(
        host="127.0.0.1",
        port=0,
        database=folder / "service.db",
        link_range=ipaddress.IPv4Network("10.213.0.0/16"),
        no_answer_s=30.0,
        degradation=True,
        answer_delay_ms=0,
        lose_every_nth_answer=0,
        admin_token="",
        token_lifetime_s=43_200.0,
        max_waiting=1024,
        silence_s=10.0,
        exit_on_stdin_eof=False,
        web_root=folder,
    )
    service = Service(replace(plain, **settings))
    write = service.store.write
    service.store.write = lambda job: loop.wait_for(write(job))  # type: ignore[method-assign]
    await service.load()
    runner, listeners = build(service)
    await runner.setup()
    try:
        await listeners.start("127.0.0.1", 0)
        yield HeldService(service, listeners.port)
        await listeners.stop()
        await service.close_connections()
    finally:
        await runner.cleanup()
        await service.close()

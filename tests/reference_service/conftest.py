"""Fixtures around the service as a real process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from service_process import TOKEN, RunningService, running

Start = Callable[..., Awaitable[RunningService]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts services on one database of this test; all have stopped cleanly at its end."""
    async with contextlib.AsyncExitStack() as stack:

        async def starter(*arguments: str, token: str = TOKEN) -> RunningService:
            return await stack.enter_async_context(running(tmp_path / "service.sqlite", *arguments, token=token))

        yield starter


@pytest.fixture
async def service(start: Start) -> RunningService:
    """A service with three people who all follow each other: ann, bob and cat."""
    started = await start()
    await started.seed("ann", "bob", "cat")
    return started

"""Fixtures around the service as a real process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
from service_process import TOKEN, RunningService, Start, running
from stopped_time import StoppedLoop


def pytest_configure(config: pytest.Config) -> None:
    """Names the mark."""
    config.addinivalue_line("markers", "stopped_time: runs in a loop whose time stands until the test lets it pass")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Gives a test that is marked ``stopped_time`` its loop, its fixtures' loop too."""
    if item.get_closest_marker("stopped_time") is not None:
        return {"stopped": StoppedLoop}
    return {"machine": asyncio.new_event_loop}


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

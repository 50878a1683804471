"""What the tests of the calls share: the event loop whose time the test holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from held_time import HeldLoop
from scripted_service import service, signed_in, target

__all__ = ["service", "signed_in", "target"]


def pytest_configure(config: pytest.Config) -> None:
    """Names the mark."""
    config.addinivalue_line("markers", "held_time: runs in a loop whose time waits for everything but timers")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Gives a test that is marked ``held_time`` its loop, its fixtures' loop too."""
    if item.get_closest_marker("held_time") is not None:
        return {"held": HeldLoop}
    return {"machine": asyncio.new_event_loop}

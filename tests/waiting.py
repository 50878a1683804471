"""Waiting for events, with hang limits that no machine comes near.

A hang limit only ends a test that would never end. It is no bound on speed: nothing may be tested with it that a slow
machine could miss. ``RINGFENCE_TEST_PATIENCE`` multiplies every one of them (``make test-slow`` sets it).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

PATIENCE = float(os.environ.get("RINGFENCE_TEST_PATIENCE", "1"))
HANG_LIMIT_S = 300.0 * PATIENCE
"""How long anything that a test waits for may take before it counts as hung."""
POLL_S = 0.02


def eventually(holds: Callable[[], object], within_s: float = HANG_LIMIT_S) -> bool:
    """Waits until ``holds`` returns something true; returns False when it never did."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_S)
    return True


async def eventually_async(holds: Callable[[], object], within_s: float = HANG_LIMIT_S) -> bool:
    """Does the same in an event loop, which goes on meanwhile."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(POLL_S)
    return True


async def eventually_awaited(holds: Callable[[], Awaitable[object]], within_s: float = HANG_LIMIT_S) -> bool:
    """Does the same with a question that has to be awaited, such as one to another process."""
    deadline_s = time.monotonic() + within_s
    while not await holds():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(POLL_S)
    return True

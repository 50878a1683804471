"""Ends an engine in steps; each step has a time limit and is reported while it runs.

See ``calls.bridge.closing`` for who waits for these reports.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from calls.bridge.messages import StillClosing

REPORT_INTERVAL_S = 1.0
GRACE_S = 5.0
"""Time for the end of a call's media and its row, after the call's last limit."""
WRITE_S = 60.0
"""Time to write the last rows on a slow disk."""
SOCKETS_S = 10.0
"""Time to close the sockets to the service. Each gives up after 2 s, and they close in parallel."""


def hang_up_limit_s(confirm_s: float) -> float:
    """Returns how long to wait for the next call to end, once all calls have been hung up.

    ``confirm_s`` is how long the service may take to confirm a hang-up; it includes the link's round trips.
    """
    return confirm_s + GRACE_S


class ClosingReporter:
    """Reports the current step to the driver at its start and then every second. Silence means a stuck engine."""

    def __init__(self, tell: Callable[[StillClosing], None]) -> None:
        self._tell = tell

    @contextlib.asynccontextmanager
    async def step(self, name: str, limit_s: float, left: Callable[[], int]) -> AsyncIterator[None]:
        """Runs a step. It gives up after ``limit_s`` without progress; ``left()`` is the number of items to do."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(REPORT_INTERVAL_S)
                self._tell(StillClosing(step=name, left=left(), limit_s=limit_s))

        self._tell(StillClosing(step=name, left=left(), limit_s=limit_s))
        beating = asyncio.create_task(beat(), name=f"closing: {name}")
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.wait({beating})


async def finish_all(tasks: Iterable[asyncio.Task[Any]], timeout_s: float) -> int:
    """Waits for ``tasks`` and cancels the rest once none has ended for ``timeout_s``. Returns how many it cancelled.

    The limit starts again with each task that ends. A slow machine ends many calls slowly, and none of them is stuck.
    """
    left = await _left(tasks, timeout_s)
    for task in left:
        task.cancel()
    await _left(left, GRACE_S)
    return len(left)


async def _left(tasks: Iterable[asyncio.Task[Any]], timeout_s: float) -> set[asyncio.Task[Any]]:
    left = set(tasks)
    while left:
        done, left = await asyncio.wait(left, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            break
    return left

"""An engine's end in steps, each bounded here and told while it lasts. See ``calls.bridge.closing`` for who waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from calls.bridge.messages import StillClosing

REPORT_INTERVAL_S = 1.0
GRACE_S = 5.0
"""What a call may take for its media's end and its row, after its last limit."""
WRITE_S = 60.0
"""The last rows on a slow disk."""
SOCKETS_S = 10.0
"""The sockets to the service: each gives up after 2 s, and they close side by side."""


def hang_up_limit_s(confirm_s: float) -> float:
    """Returns how long calls may go without one of them ending, once all have been hung up.

    ``confirm_s`` is how long the service may take to confirm a goodbye; it has grown with the link's round trips.
    """
    return confirm_s + GRACE_S


class ClosingReporter:
    """Tells the driver which step is on: at its begin, then every second, so that silence means a stuck engine."""

    def __init__(self, tell: Callable[[StillClosing], None]) -> None:
        self._tell = tell

    @contextlib.asynccontextmanager
    async def step(self, name: str, limit_s: float, left: Callable[[], int]) -> AsyncIterator[None]:
        """A step that takes ``limit_s`` at most after its last progress, and of which ``left()`` is still to do."""

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
    """Waits for ``tasks``, and cuts off what is left once none has ended for ``timeout_s``. Returns how many that were.

    Counted from the last one that ended: a machine that is slow ends many calls slowly, and none of them is at fault.
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

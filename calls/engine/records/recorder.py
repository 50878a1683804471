"""Collects the engine's rows on the loop and writes them once a second on a thread of its own."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from calls.errors import SegmentNotWritten
from calls.records.record import HealthRow, LegRecord, ListRow, MessageRow, SampleRow, WindowRow
from calls.records.segments import SegmentWriter

GIVE_UP_AFTER = 3
"""Failed flushes in a row, one a second, for a cause that might have been temporary."""


class Recorder:
    """Six segment writers.

    ``on_trouble`` is called at the first failed flush in a row, and again when later flushes cannot succeed either; its
    last argument is True then.
    """

    def __init__(self, run_folder: Path, writer: str, on_trouble: Callable[[str, str, bool], None]) -> None:
        self.calls = SegmentWriter(run_folder / "calls", LegRecord, writer)
        self.messages = SegmentWriter(run_folder / "messages", MessageRow, writer)
        self.lists = SegmentWriter(run_folder / "lists", ListRow, writer)
        self.samples = SegmentWriter(run_folder / "samples", SampleRow, writer)
        self.health = SegmentWriter(run_folder / "health", HealthRow, writer)
        self.windows = SegmentWriter(run_folder / "windows", WindowRow, writer)
        self._writers: tuple[SegmentWriter[Any], ...] = (
            self.calls,
            self.messages,
            self.lists,
            self.samples,
            self.health,
            self.windows,
        )
        importlib.import_module("pyarrow.parquet")  # import now, not during the first calls
        self._on_trouble = on_trouble
        self._failures = 0
        self._gave_up = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="segments")
        self._last: asyncio.Future[None] | None = None

    def flush_soon(self) -> None:
        """Starts a flush off the loop, unless one is running."""
        if self._last is None or self._last.done():
            self._last = asyncio.ensure_future(self.flush())

    async def flush(self) -> None:
        """Writes all waiting rows off the loop. Errors are reported, not raised; the rows stay for the next flush."""
        loop = asyncio.get_running_loop()
        problems = await loop.run_in_executor(self._thread, self._flush_all)
        if not problems:
            self._failures = 0
            return
        self._failures += 1
        is_hopeless = self._failures >= GIVE_UP_AFTER or any(problem.is_final for problem in problems)
        if self._failures == 1 or (is_hopeless and not self._gave_up):
            self._gave_up = self._gave_up or is_hopeless
            self._on_trouble("segment_not_written", f"{problems[0].message}: {problems[0].hint}", is_hopeless)

    def rows_given_up(self) -> int:
        """Returns the number of rows lost because the disk refused them for too long."""
        return sum(writer.rows_given_up for writer in self._writers)

    async def close(self) -> None:
        """Writes the remaining rows and ends the thread."""
        if self._last is not None:
            await self._last
        await self.flush()
        self._thread.shutdown()

    def _flush_all(self) -> list[SegmentNotWritten]:
        problems = []
        for writer in self._writers:
            try:
                writer.flush()
            except SegmentNotWritten as error:
                problems.append(error)
        return problems

"""Reads the faults that the swarm's master writes to a pipe. It works on a full disk, where no file does."""

from __future__ import annotations

import os
from typing import Any

from reports.run.faults import fault_in


class FaultPipe:
    """Call ``close_writing_end`` once the master has been started: then the pipe ends when the master ends."""

    def __init__(self) -> None:
        self.reading_end, self.writing_end = os.pipe()
        os.set_blocking(self.reading_end, False)
        self._half = b""
        self._closed = False

    def close_writing_end(self) -> None:
        """Closes our copy of the writing end. Safe to call twice."""
        if self.writing_end >= 0:
            os.close(self.writing_end)
            self.writing_end = -1

    def read(self) -> list[dict[str, Any]] | None:
        """Returns the faults that have arrived. Returns None when the pipe has ended."""
        try:
            chunk = os.read(self.reading_end, 65536)
        except BlockingIOError:
            return []
        if not chunk:
            return None
        *lines, self._half = (self._half + chunk).split(b"\n")
        return [fault for line in lines if (fault := fault_in(line)) is not None]

    def close(self) -> None:
        """Closes both ends. Safe to call twice."""
        self.close_writing_end()
        if not self._closed:
            self._closed = True
            os.close(self.reading_end)

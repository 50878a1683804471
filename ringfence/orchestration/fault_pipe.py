"""The reading end of the pipe on which the swarm's master tells its faults, when no file takes them any more."""

from __future__ import annotations

import os
from typing import Any

from reports.run.faults import fault_in


class FaultPipe:
    """``close_writing_end`` when the master has been started: then the end of the pipe is the end of the master."""

    def __init__(self) -> None:
        self.reading_end, self.writing_end = os.pipe()
        os.set_blocking(self.reading_end, False)
        self._half = b""
        self._closed = False

    def close_writing_end(self) -> None:
        """Leaves the writing end to the child. Safe to call twice."""
        if self.writing_end >= 0:
            os.close(self.writing_end)
            self.writing_end = -1

    def read(self) -> list[dict[str, Any]] | None:
        """Returns the faults that have come; None when no more will."""
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

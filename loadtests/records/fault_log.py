"""Keeps the faults of a swarm: in ``faults.jsonl``, and in a pipe to the process that started the master.

On a full disk, file and log take no more. The pipe still does.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.run.faults import FAULTS_FILE, append_fault, fault_line

PIPE = "RINGFENCE_FAULT_PIPE"
"""Environment variable: the file descriptor on which the process that started the master reads faults."""

logger = logging.getLogger(__name__)


class FaultLog:
    """The faults of one run. ``add`` never raises and never waits."""

    def __init__(self, run_folder: Path, pipe: int | None) -> None:
        self._run_folder = run_folder
        self._pipe = pipe
        self.faults: list[dict[str, Any]] = []

    def add(self, fault: dict[str, Any]) -> None:
        """Keeps a fault, and writes it to file and pipe where they take it."""
        self.faults.append(fault)
        try:
            append_fault(self._run_folder, fault)
        except OSError as error:
            logger.error("%s cannot be written: %s", self._run_folder / FAULTS_FILE, error.strerror or error)
        if self._pipe is not None:
            with contextlib.suppress(OSError):  # the reader is gone, or the pipe is full
                os.write(self._pipe, fault_line(fault))


def fault_pipe(environ: Mapping[str, str]) -> int | None:
    """Returns the pipe that ``environ`` names, ready for use. Returns None when there is no such pipe."""
    try:
        descriptor = int(environ.get(PIPE, ""))
        os.set_blocking(descriptor, False)
        os.set_inheritable(descriptor, False)
    except (ValueError, OSError, OverflowError):
        return None
    return descriptor

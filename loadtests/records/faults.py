"""Where a swarm's faults go: to ``faults.jsonl``, and to whoever started the master, through a pipe.

The pipe is the way that stays open when the disk is full: then neither the file nor a log takes a word more.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from bedrock.foreign_text import clean_all, json_text
from reports.run.file_input import Unreadable, decode_json, read_file
from reports.run.run_folder import Fault

FILE = "faults.jsonl"
Severity = Literal["invalid", "fail", "note"]
"""``invalid`` and ``fail`` each decide the verdict, ``note`` does not."""
PIPE = "RINGFENCE_FAULT_PIPE"
"""Environment variable: the descriptor on which the process that started the master hears of faults."""

logger = logging.getLogger(__name__)


class FaultLog:
    """The faults of one run. ``tell`` never raises and never waits."""

    def __init__(self, run_folder: Path, pipe: int | None) -> None:
        self._file = run_folder / FILE
        self._pipe = pipe
        self.told: list[dict[str, Any]] = []

    def tell(self, fault: dict[str, Any]) -> None:
        """Keeps a fault, and writes it wherever there is still room."""
        self.told.append(fault)
        line = (json_text(fault) + "\n").encode()
        try:
            with self._file.open("ab") as file:
                file.write(line)
        except OSError as error:
            logger.error("%s cannot be written: %s", self._file, error.strerror or error)
        if self._pipe is not None:
            with contextlib.suppress(OSError):  # nobody listens any more, or not fast enough
                os.write(self._pipe, line)


def pipe_of(environ: Mapping[str, str]) -> int | None:
    """Returns the descriptor that the environment names, made fit for us; None when there is none."""
    try:
        descriptor = int(environ.get(PIPE, ""))
        os.set_blocking(descriptor, False)
        os.set_inheritable(descriptor, False)
    except (ValueError, OSError, OverflowError):
        return None
    return descriptor


def noted_faults(run_folder: Path) -> list[dict[str, Any]]:
    """Returns the faults that the processes of a run wrote down.

    What cannot be read is passed over: the gate reads the same file, and says that it is damaged.
    """
    try:
        lines = read_file(run_folder / FILE).splitlines()
    except (FileNotFoundError, Unreadable):
        return []
    return [fault for line in lines if (fault := fault_in(line)) is not None]


def fault_in(line: bytes) -> dict[str, Any] | None:
    """Returns the fault that one line tells, its text clean; None for a line that is torn or tells none."""
    try:
        decode_json(line, Fault)  # what the gate would not read is no fault here either
        return clean_all(decode_json(line, dict))
    except Unreadable:
        return None

"""Writes the folder of one attempt: the files that show what happened, under fixed names."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bedrock.clock import Clock
from bedrock.foreign_text import clean, json_text
from reports.run.cells import attempt_folder

SCREENSHOT = "screen.png"
CONSOLE = "console.log"
STATISTICS = "webrtc.json"
HEADERS = "headers.pcap"
SHAPING = "shaping_evidence.json"
LINK = "link_counters.json"
STEPS = "steps.txt"
REPLAY = "replay.txt"
ERROR = "error.txt"


class StepLog:
    """Records when each step of an attempt began: it shows where a slow or stuck cell spent its time."""

    def __init__(self, clock: Clock, on_begin: Callable[[], None]) -> None:
        """``on_begin`` runs before every step and may end the attempt by raising."""
        self._clock = clock
        self._on_begin = on_begin
        self._started_s = clock.monotonic_s()
        self._steps: list[tuple[str, float]] = []

    def begin(self, name: str) -> None:
        """Starts a step and ends the one before."""
        self._on_begin()
        self._steps.append((name, self._clock.monotonic_s()))

    @property
    def current(self) -> str:
        """The running step; empty before the first."""
        return self._steps[-1][0] if self._steps else ""

    def lines(self) -> list[str]:
        """Returns one line per step: seconds since the start, seconds taken, name."""
        ends = [began for _name, began in self._steps[1:]] + [self._clock.monotonic_s()]
        return [
            f"{began - self._started_s:8.3f} {end - began:8.3f}  {name}"
            for (name, began), end in zip(self._steps, ends, strict=True)
        ]


class Artifacts:
    """Writes the files of one attempt and remembers their names."""

    def __init__(self, run_folder: Path, cell: str, attempt: int) -> None:
        self.folder = attempt_folder(run_folder, cell, attempt)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.names: list[str] = []

    def path(self, name: str) -> Path:
        """Returns the path for the artifact ``name``, and records the name."""
        if name not in self.names:
            self.names.append(name)
        return self.folder / name

    def text(self, name: str, lines: Sequence[str]) -> None:
        """Writes lines without control characters: a page may have written them, and a terminal will show them."""
        self.path(name).write_text("".join(f"{clean(line)}\n" for line in lines), encoding="utf-8")

    def json(self, name: str, content: Any) -> None:
        self.path(name).write_text(json_text(content, indent=1), encoding="utf-8")

    def bytes(self, name: str, content: bytes) -> None:
        self.path(name).write_bytes(content)


def next_attempt(run_folder: Path, cell: str) -> int:
    """Returns the first attempt number of ``cell`` without a result, so no attempt is overwritten."""
    number = 1
    while (attempt_folder(run_folder, cell, number) / "cell.json").exists():
        number += 1
    return number


def replay_command(plan: str, cell: str) -> str:
    """Returns the command that runs ``cell`` again. It starts a new service: this run's service ends with the run."""
    return shlex.join(["ringfence", "matrix", "--plan", plan, "--cell", cell])

"""An attempt's own folder: everything that lets a person see what happened, under names that never change."""

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
    """When each step of an attempt began and how long it took: where a slow or stuck cell spent its time."""

    def __init__(self, clock: Clock, on_begin: Callable[[], None]) -> None:
        """``on_begin`` runs before every step and may end the attempt by raising."""
        self._clock = clock
        self._on_begin = on_begin
        self._started_s = clock.monotonic_s()
        self._steps: list[tuple[str, float]] = []

    def begin(self, name: str) -> None:
        """A step begins; the one before has ended."""
        self._on_begin()
        self._steps.append((name, self._clock.monotonic_s()))

    @property
    def current(self) -> str:
        """The step that has begun last, empty before the first."""
        return self._steps[-1][0] if self._steps else ""

    def lines(self) -> list[str]:
        """Returns a line a step: seconds since the start, seconds taken, name."""
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
        """Returns where the artifact ``name`` goes, and counts it among the attempt's."""
        if name not in self.names:
            self.names.append(name)
        return self.folder / name

    def text(self, name: str, lines: Sequence[str]) -> None:
        """Writes lines, each clean: they may be a page's own words, and a person will show them on a terminal."""
        self.path(name).write_text("".join(f"{clean(line)}\n" for line in lines), encoding="utf-8")

    def json(self, name: str, content: Any) -> None:
        self.path(name).write_text(json_text(content, indent=1), encoding="utf-8")

    def bytes(self, name: str, content: bytes) -> None:
        self.path(name).write_bytes(content)


def next_attempt(run_folder: Path, cell: str) -> int:
    """Returns the first attempt number of ``cell`` without a result: earlier attempts are never overwritten."""
    number = 1
    while (attempt_folder(run_folder, cell, number) / "cell.json").exists():
        number += 1
    return number


def replay_command(plan: str, cell: str) -> str:
    """Returns the one command that runs ``cell`` again, with the plan's own service: a run's service ends with it."""
    return shlex.join(["ringfence", "matrix", "--plan", plan, "--cell", cell])

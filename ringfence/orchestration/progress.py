"""Reads the live files of a run, for the screen and the supervisor."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reports.run.live import LiveReader

CELL_NAMES = ("cell", "device", "network", "scenario", "driver")


@dataclass(slots=True)
class CellProgress:
    """One cell of the grid."""

    cell: str
    device: str
    network: str
    scenario: str
    driver: str
    status: str = "waiting"
    """``waiting``, ``running``, or a CellResult's status."""
    reason: str = ""
    attempt: int = 0


@dataclass(slots=True)
class Progress:
    """The last second of the swarm and the state of every cell."""

    live_folder: Path
    second: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, CellProgress] = field(default_factory=dict)
    peak_concurrent: int = 0
    swarm_ended: bool = False
    _closing: list[dict[str, Any]] = field(default_factory=list)
    _matrix_lines: list[dict[str, Any]] = field(default_factory=list)
    _messages: list[str] = field(default_factory=list)
    _swarm: LiveReader = field(init=False)
    _matrix: LiveReader = field(init=False)

    def __post_init__(self) -> None:
        self._swarm = LiveReader(self.live_folder / "swarm.jsonl")
        self._matrix = LiveReader(self.live_folder / "matrix.jsonl")

    @property
    def swarm_stage(self) -> str:
        """The stage that the swarm is in; empty before its first second."""
        return str(self.second.get("stage", ""))

    def read(self) -> None:
        """Takes in what was written since the last call."""
        for line in self._swarm.read_new():
            if line.get("event") == "second":
                self.second = line
                self.peak_concurrent = max(self.peak_concurrent, int(line.get("calls_active") or 0))
            elif line.get("event") == "judged":
                reason = f": {line['reason']}" if line.get("reason") else ""
                self._messages.append(f"stage {line.get('stage')}: {line.get('verdict')}{reason}")
            elif line.get("event") == "closing":
                self._closing.append(line)
            elif line.get("event") == "end":
                self.swarm_ended = True
        for line in self._matrix.read_new():
            self._take_matrix(line)
            self._matrix_lines.append(line)

    def take_messages(self) -> list[str]:
        """Returns what was said since the last call: how the steps of a load were judged."""
        news, self._messages = self._messages, []
        return news

    def take_closing(self) -> list[dict[str, Any]]:
        """Returns what workers said since the last call of how far they are with their end."""
        closing, self._closing = self._closing, []
        return closing

    def take_matrix_lines(self) -> list[dict[str, Any]]:
        """Returns what the matrix said since the last call."""
        lines, self._matrix_lines = self._matrix_lines, []
        return lines

    def _take_matrix(self, line: dict[str, Any]) -> None:
        event = line.get("event")
        if event == "plan":
            for cell in line["cells"]:
                name, device, network, scenario, driver = (str(cell.get(key, "")) for key in CELL_NAMES)
                self.cells.setdefault(name, CellProgress(name, device, network, scenario, driver))
            return
        known = self.cells.get(str(line.get("cell")))
        if known is None:
            return
        known.attempt = int(line.get("attempt") or 1)
        if event == "start":
            known.status = "running"
        elif event == "end":
            known.status, known.reason = str(line.get("status")), str(line.get("reason") or "")

    def count(self, status: str) -> int:
        """Returns how many cells are in ``status`` now."""
        return sum(cell.status == status for cell in self.cells.values())

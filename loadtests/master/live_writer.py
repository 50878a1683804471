"""Writes what the swarm does, second by second, to ``live/swarm.jsonl``, and its faults to ``faults.jsonl``."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

from loadtests.master.history import History
from loadtests.master.probe_scores import ProbeScores
from loadtests.records.fault_log import FaultLog
from loadtests.wire.live_stats import SwarmStats
from reports.run.faults import Severity, make_fault
from reports.run.live import LiveWriter

logger = logging.getLogger(__name__)


class SwarmLiveWriter:
    """The swarm's live file, for the terminal of ``ringfence run`` and for programs that follow a run.

    Lines are ``{"event": "second", …}`` with the fields of ``SwarmStats.second``, ``{"event": "closing", …}`` while
    workers end, and one ``{"event": "end", …}``.
    """

    def __init__(self, run_folder: Path, stats: SwarmStats, pipe: int | None = None) -> None:
        """``pipe``: see ``faults``."""
        self._stats = stats
        self._writer = LiveWriter(run_folder / "live" / "swarm.jsonl")
        self._faults = FaultLog(run_folder, pipe)
        self.problem = ""
        """Why the live file was not written to the last time, empty when it was."""
        self.history = History()
        self.scores = ProbeScores(run_folder)

    @property
    def faults(self) -> list[dict[str, Any]]:
        """Every fault so far."""
        return self._faults.faults

    def second(self, at_s: float, stage: str, wanted_calls: float | None = None) -> None:
        """Writes the present second. ``wanted_calls`` is the level that the plan wants now, if that is known."""
        self.scores.refresh(at_s)
        second = self._stats.second(at_s, stage) | {"calls_wanted": wanted_calls, "visqol_p50": self.scores.score(0.5)}
        self.history.add(second)
        self._emit("second", second)

    def closing(self, at_s: float, worker: int, step: str, left: int, limit_s: float) -> None:
        """Writes how far a worker is with its end."""
        self._writer.emit("closing", at_s=at_s, stage="drain", worker=worker, step=step, left=left, limit_s=limit_s)

    def end(self, at_s: float, **fields: Any) -> None:
        """Writes that no more will come, and how it ended."""
        # Scores come late: the last of them have just been written.
        self.scores.refresh(math.inf)
        second = self._stats.second(at_s, "end")
        self.history.add(second | {"calls_wanted": None, "visqol_p50": self.scores.score(0.5)})
        self._emit("end", {**second, "started_by_worker": self._stats.started_by_worker(), **fields})

    def _emit(self, event: str, fields: dict[str, Any]) -> None:
        try:
            self._writer.emit(event, **fields)
        except OSError as error:
            self.problem = f"live/swarm.jsonl cannot be written: {error.strerror or error}"
        else:
            self.problem = ""

    def fault(self, at_s: float, what: str, detail: str, severity: Severity, *, ends_load: bool = False) -> None:
        """Writes down something that the report must not pass over, and logs it."""
        fault = make_fault(at_s=at_s, what=what, detail=detail, severity=severity, ends_load=ends_load)
        level = logging.INFO if severity == "note" else logging.ERROR
        logger.log(level, "%s: %s", fault["what"], fault["detail"])
        self._faults.add(fault)

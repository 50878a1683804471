"""Writes what the swarm does, second by second, to ``live/swarm.jsonl``, and its faults to ``faults.jsonl``."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any, Literal

from bedrock.foreign_text import clean, json_text
from loadtests.aggregate import SwarmView
from loadtests.history import History
from loadtests.probe_scores import ProbeScores
from reports.live import LiveWriter

logger = logging.getLogger(__name__)

Severity = Literal["invalid", "fail", "note"]


class LiveView:
    """The swarm's live file, for the terminal of ``ringfence run`` and for whoever follows a run.

    Lines are ``{"event": "second", …}`` with the fields of ``SwarmView.second``, ``{"event": "closing", …}`` of workers
    that end, and one ``{"event": "end", …}``.
    """

    def __init__(self, run_folder: Path, view: SwarmView) -> None:
        self._view = view
        self._writer = LiveWriter(run_folder / "live" / "swarm.jsonl")
        self._faults = run_folder / "faults.jsonl"
        self.history = History()
        self.scores = ProbeScores(run_folder)
        self.faults: list[dict[str, Any]] = []

    def second(self, at_s: float, stage: str, wanted_calls: float | None = None) -> None:
        """Writes the present second. ``wanted_calls`` is the level that the plan wants now, if that is known."""
        self.scores.refresh(at_s)
        second = self._view.second(at_s, stage) | {"calls_wanted": wanted_calls, "visqol_p50": self.scores.score(0.5)}
        self.history.add(second)
        self._writer.emit("second", **second)

    def closing(self, at_s: float, worker: int, step: str, left: int, limit_s: float) -> None:
        """Writes how far a worker is with its end."""
        self._writer.emit("closing", at_s=at_s, stage="drain", worker=worker, step=step, left=left, limit_s=limit_s)

    def end(self, at_s: float, **fields: Any) -> None:
        """Writes that no more will come, and how it ended."""
        # Scores come late: the last of them have just been written.
        self.scores.refresh(math.inf)
        second = self._view.second(at_s, "end")
        self.history.add(second | {"calls_wanted": None, "visqol_p50": self.scores.score(0.5)})
        self._writer.emit("end", **{**second, "started_by_worker": self._view.started_by_worker(), **fields})

    def fault(self, at_s: float, what: str, detail: str, severity: Severity) -> None:
        """Writes down something that the report must not pass over, and logs it."""
        what, detail = clean(what), clean(detail)
        logger.log(logging.INFO if severity == "note" else logging.ERROR, "%s: %s", what, detail)
        fault = {"at_s": at_s, "what": what, "detail": detail, "severity": severity}
        self.faults.append(fault)
        with self._faults.open("a", encoding="utf-8") as file:
            file.write(json_text(fault) + "\n")

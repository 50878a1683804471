"""A matrix that was told to end is waited for as long as its cells or its far ends make progress."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hand_clock import HandClock

from bedrock.child_process import spawn
from device_matrix.attempt.lifetime import ORDERLY_END_S
from ringfence.orchestration.matrix_shutdown import CELLS_MARGIN_S, MatrixShutdown
from ringfence.orchestration.progress import Progress
from ringfence.orchestration.supervisor import Supervisor

NOBODY = cast(Any, None)
"""Stands for what the end of a matrix has nothing to do with."""


class PacedProgress(Progress):
    """Lets a minute pass with each look that found news, or with each at all; says when ten have passed."""

    def __init__(self, live_folder: Path, clock: HandClock, enough: Path, *, even_without_news: bool = False) -> None:
        super().__init__(live_folder)
        self._clock, self._enough, self._always = clock, enough, even_without_news

    def take_matrix_lines(self) -> list[dict[str, Any]]:
        lines = super().take_matrix_lines()
        if lines or self._always:
            self._clock.now_s += 60.0
        if self._clock.now_s >= 1600.0:
            self._enough.touch()
        return lines


def overdue_after(end: MatrixShutdown, clock: HandClock, seconds: float) -> bool:
    clock.now_s += seconds
    return end.is_overdue


def closing(worker: str, left: int) -> dict[str, Any]:
    return {"event": "closing", "worker": worker, "step": "hanging up", "left": left, "limit_s": 20.0}


def test_it_has_longer_than_its_workers_give_themselves() -> None:
    clock = HandClock()
    end = MatrixShutdown(clock)
    assert CELLS_MARGIN_S > ORDERLY_END_S
    assert not overdue_after(end, clock, CELLS_MARGIN_S)
    assert overdue_after(end, clock, 1.0)


def test_a_far_end_or_a_cell_that_makes_progress_is_enough() -> None:
    clock = HandClock()
    end = MatrixShutdown(clock)
    end.hear({"event": "end", "cell": "a", "status": "failed"})
    assert not overdue_after(end, clock, CELLS_MARGIN_S)
    end.hear({"event": "end", "cell": "b", "status": "failed"})
    assert not overdue_after(end, clock, CELLS_MARGIN_S)
    end.hear(closing("matrix-gw0", 9))
    for left in (5, 4, 3):
        end.hear(closing("matrix-gw1", left))
        assert not overdue_after(end, clock, 20.0 + CELLS_MARGIN_S)
    end.hear(closing("matrix-gw0", 9))
    end.hear({"event": "start", "cell": "c"})
    assert overdue_after(end, clock, 1.0)


MATRIX = """
import itertools, json, os, signal, sys, time
live_file, enough, mark = sys.argv[1:]
def end(*_):
    for left in itertools.count(9000, -1):
        if left % EVERY == 0:
            with open(live_file, "a") as live:
                line = {"event": "closing", "worker": "gw0", "step": "s", "left": left, "limit_s": 20.0}
                print(json.dumps(line), file=live)
        time.sleep(0.02)
        if os.path.exists(enough):
            break
    open(mark, "w").close()
    sys.exit(0)
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    signal.pause()
"""
"""Ends ten minutes after it was told to, and says every 20 ms how far it is, or only once."""


def ended_orderly(tmp_path: Path, *, says_how_far: bool) -> bool:
    """Lets a supervisor end a matrix that takes ten minutes. Returns whether it came to its own end."""
    live, enough, mark = tmp_path / "live", tmp_path / "enough", tmp_path / "ended"
    live.mkdir()
    clock = HandClock()
    supervisor = Supervisor(NOBODY, cast(Any, SimpleNamespace(path=tmp_path)), clock, NOBODY, NOBODY)
    supervisor.progress = PacedProgress(live, clock, enough, even_without_news=not says_how_far)
    program = MATRIX.replace("EVERY", "1" if says_how_far else "9000")
    argv = [sys.executable, "-c", program, str(live / "matrix.jsonl"), str(enough), str(mark)]
    matrix = spawn("device_matrix", argv, pipe_stdout=True)
    try:
        assert matrix.popen.stdout is not None
        assert matrix.popen.stdout.readline()
        supervisor._end_matrix(matrix)
    finally:
        supervisor.selector.close()
        matrix.stop(timeout_s=0)
    return mark.exists()


def test_a_far_end_that_needs_ten_minutes_is_waited_for(tmp_path: Path) -> None:
    assert ended_orderly(tmp_path, says_how_far=True)


def test_one_that_is_stuck_is_ended(tmp_path: Path) -> None:
    assert not ended_orderly(tmp_path, says_how_far=False)

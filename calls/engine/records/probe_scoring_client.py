"""Hands the audio that probes received to a scoring process, without blocking the loop.

The death of the scoring process is reported at once. Audio that it did not score gets rows with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import RingfenceError
from calls.errors import SegmentNotWritten
from calls.media.probe.live_voice import live_voice
from calls.media.probe.recording import RecordedAudio
from calls.quality.probe_scorer import LOAD_IS_OVER, Job, framed, unscored
from calls.records.record import ProbeRow, Side
from calls.records.segments import SegmentWriter

logger = logging.getLogger(__name__)

LAST_SCORES_S = 5.0
"""Time for the remaining scores at the end of a run. Whoever started the engine waits a little longer."""
UNSCORED_ROWS_LIMIT_S = 1.5
"""Time to write the rows of what was not scored."""
_ORDINARY_CLASS = ("chrt", "--other", "0")
"""The engine runs at real-time priority, and its children would inherit it."""
_LOWEST_RANK = ("nice", "-n", "19")
_ORDINARY_NICE = 0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


DIED, NOT_STARTED = "scorer_died", "scorer_not_started"
"""Why a probe has no score; also the code of the report."""
NO_TIME = "no_time"
"""The reason of a probe whose scorer we ended because time was up. That is neither a crash nor trouble."""
OnTrouble = Callable[[str, str], None]


class ProbeScoringClient:
    """One per engine; its process starts with the first probe. Call ``close`` at the end.

    ``on_trouble`` takes a code and a sentence, and runs on this client's thread.
    """

    def __init__(
        self,
        run_folder: Path,
        run_id: str,
        writer: str,
        on_trouble: OnTrouble,
        *,
        last_scores_s: float = LAST_SCORES_S,
    ) -> None:
        self._run_folder, self._run_id, self._writer = run_folder, run_id, writer
        self._on_trouble = on_trouble
        self._last_scores_s = last_scores_s
        # One thread lives as long as the child: the kernel ties the child's life to the thread that started it.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="probes")
        self._watch: threading.Thread | None = None
        self._child: ChildProcess | None = None
        self._broken = ""
        """Why scoring has stopped; empty while it works."""
        self._unscored_rows: dict[tuple[str, Side], ProbeRow] = {}
        """For each submitted recording, a row without a score, in case none is written."""
        self._closing = self._ended_by_us = False

    @property
    def close_limit_s(self) -> float:
        """How long ``close`` may take."""
        return self._last_scores_s + 3 * UNSCORED_ROWS_LIMIT_S

    @property
    def pid(self) -> int | None:
        """Process id of the scorer; None before it starts."""
        return self._child.pid if self._child is not None else None

    def submit(self, call_id: str, side: Side, at_s: float, heard: RecordedAudio) -> None:
        """Queues ``heard`` for scoring. If the scorer cannot start, the score is missing and the call is unaffected."""
        job = Job(
            call_id=call_id,
            side=side,
            at_s=at_s,
            from_s=heard.from_s,
            same_clock=heard.same_clock,
            voice_tag=heard.voice_tag,
            pcm=heard.pcm,
        )
        self._thread.submit(self._send, job)

    def load_is_over(self) -> None:
        """Tells the scorer that the load is over: it need not pause or yield any more."""
        self._thread.submit(self._raise_scorer_priority)

    async def close(self) -> None:
        """Waits up to ``last_scores_s`` for the remaining scores; kills a scorer that is stuck."""
        self._closing = True
        finished = asyncio.get_running_loop().run_in_executor(self._thread, self._finish)
        if (
            not (await asyncio.wait({finished}, timeout=self._last_scores_s + 2 * UNSCORED_ROWS_LIMIT_S))[0]
            and self._child
        ):
            # The scorer reads no more input, and our thread is blocked in the middle of a job.
            self._ended_by_us = True
            self._child.signal(signal.SIGKILL)
        await finished
        self._thread.shutdown()
        if self._watch is not None:
            self._watch.join()

    def _send(self, job: Job) -> None:
        self._unscored_rows[job.call_id, job.side] = unscored(job, live_voice(), self._run_id, self._writer, "")
        if self._broken:
            return
        try:
            if self._child is None:
                self._child = self._start()
                self._write(framed(live_voice()))
            self._write(framed(job))
        except RingfenceError as error:
            self._give_up(NOT_STARTED, f"probe audio is not scored: {error}")
        except BrokenPipeError:
            pass  # the thread that waits for its end reports it, with the exit code
        except OSError as error:
            self._give_up(NOT_STARTED, f"probe audio is not scored: {error.strerror}")

    def _write(self, message: bytes) -> None:
        if self._child is not None and self._child.popen.stdin is not None:
            self._child.popen.stdin.write(message)
            self._child.popen.stdin.flush()

    def _give_up(self, why: str, sentence: str) -> None:
        if not self._broken:
            self._broken = why
            logger.error("%s", sentence)
            self._on_trouble(why, sentence)

    def _raise_scorer_priority(self) -> None:
        child = self._child
        if child is not None:
            with contextlib.suppress(OSError):
                self._write(LOAD_IS_OVER)
            with contextlib.suppress(OSError):  # only root may raise priority; else the scorer goes on at its own
                os.setpriority(os.PRIO_PROCESS, child.pid, _ORDINARY_NICE)

    def _start(self) -> ChildProcess:
        rank = _LOWEST_RANK if os.sched_getscheduler(0) == os.SCHED_OTHER else (*_ORDINARY_CLASS, *_LOWEST_RANK)
        child = spawn(
            f"probe-scorer-{self._writer}",
            [*rank, sys.executable, "-m", "calls.quality.probe_scorer", "--run-folder", str(self._run_folder),
             "--run-id", self._run_id, "--writer", self._writer],
            log_path=self._run_folder / "logs" / f"probe-scorer-{self._writer}.log",
            env=_ONE_THREAD,
        )  # fmt: skip
        self._watch = threading.Thread(target=self._wait_for_exit, args=(child,), name="probe scorer's end")
        self._watch.start()
        return child

    def _wait_for_exit(self, child: ChildProcess) -> None:
        with contextlib.suppress(ChildProcessError):
            # Not reaped here: whoever needs the exit code does that.
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        if not self._closing:
            with contextlib.suppress(RuntimeError):  # closed meanwhile: ``close`` checks by itself
                self._thread.submit(self._check_exit)

    def _check_exit(self) -> None:
        child = self._child
        if child is not None and not child.is_running():
            self._report_exit(child.popen.returncode)

    def _report_exit(self, code: int) -> None:
        if self._ended_by_us:
            self._broken = self._broken or NO_TIME
            return
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._give_up(DIED, f"the probe scorer ended early; its calls have no ViSQOL score ({how})")

    def _finish(self) -> None:
        self._check_exit()
        self._raise_scorer_priority()
        child = self._child
        if child is not None:
            if child.popen.stdin is not None:
                with contextlib.suppress(OSError):
                    child.popen.stdin.close()
            try:
                child.popen.wait(self._last_scores_s)
            except subprocess.TimeoutExpired:
                self._ended_by_us = True
            code = child.stop(UNSCORED_ROWS_LIMIT_S)
            if code:
                self._report_exit(code)
        if self._broken:
            self._write_unscored_rows()

    def _write_unscored_rows(self) -> None:
        segments = SegmentWriter(self._run_folder / "probes", ProbeRow, self._writer)
        for row in self._rows_missing_on_disk():
            segments.append(msgspec.structs.replace(row, reason=self._broken))
        try:
            segments.flush()
        except SegmentNotWritten as error:
            logger.error("%s", error)

    def _rows_missing_on_disk(self) -> list[ProbeRow]:
        from pyarrow import parquet

        left = dict(self._unscored_rows)
        for path in (self._run_folder / "probes").glob(f"{self._writer}-*.parquet"):
            try:
                table = parquet.read_table(path, columns=["call_id", "side"], partitioning=None)
            except (OSError, ValueError) as error:
                logger.error("%s cannot be read: %s", path.name, error)
                continue
            for call_id, side in zip(table["call_id"].to_pylist(), table["side"].to_pylist(), strict=True):
                left.pop((call_id, Side(side)), None)
        return list(left.values())

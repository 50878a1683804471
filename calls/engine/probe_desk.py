"""Hands what probes heard to a process that judges it, and never waits on the loop for that."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from bedrock import crash
from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import RingfenceError
from calls.media.probe_scorer import LOAD_IS_OVER, Job
from calls.media.recording import HeardAudio
from calls.record import Side

logger = logging.getLogger(__name__)

LAST_SCORES_S = 5.0
"""At the end of a run, for the scores that are still due; who started the engine waits a little longer for it."""
LAST_WORDS_S = 1.5
"""For the rows of what was not scored."""
_ORDINARY_CLASS = ("chrt", "--other", "0")
"""The engine runs at real-time rank, and its children would inherit it."""
_LOWEST_RANK = ("nice", "-n", "19")
_ORDINARY_NICE = 0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class ProbeDesk:
    """One per engine; its process starts with the first probe. ``close`` it at the end."""

    def __init__(self, run_folder: Path, run_id: str, writer: str, *, last_scores_s: float = LAST_SCORES_S) -> None:
        self._run_folder, self._run_id, self._writer = run_folder, run_id, writer
        self._last_scores_s = last_scores_s
        # One thread that lives as long as the child: the kernel ties a child's life to the thread that started it.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="probes")
        self._child: ChildProcess | None = None
        self._broken = self._killed = False

    @property
    def close_limit_s(self) -> float:
        """How long ``close`` may take."""
        return self._last_scores_s + 3 * LAST_WORDS_S

    @property
    def pid(self) -> int | None:
        """Of the judge; None before there is one."""
        return self._child.pid if self._child is not None else None

    def submit(self, call_id: str, side: Side, at_s: float, heard: HeardAudio) -> None:
        """Has ``heard`` judged, some time. A judge that cannot be started costs the scores, never the call."""
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

    def death(self) -> str:
        """Returns how the judge ended by itself, in a sentence; empty while nobody has to be told."""
        code = self._child.popen.poll() if self._child is not None and not self._killed else None
        if self._child is None or code is None or not crash.ended_by_crash(code):
            return ""
        lost = "what its engine's probes heard is not scored"
        return f"the probe scorer {self._writer} {crash.ending(code, self._child.pid)}: {lost}"

    def load_is_over(self) -> None:
        """Nobody is in the judge's way any more: it need not rest, nor yield to who else is on the machine."""
        self._thread.submit(self._hurry)

    async def close(self) -> None:
        """Waits for the scores that are still due, for ``last_scores_s`` at most; a judge that is stuck is killed."""
        finished = asyncio.get_running_loop().run_in_executor(self._thread, self._finish)
        if not (await asyncio.wait({finished}, timeout=self._last_scores_s + 2 * LAST_WORDS_S))[0] and self._child:
            # It takes nothing any more, and our thread waits in the middle of a job for it.
            self._killed = True
            self._child.signal(signal.SIGKILL)
        await finished
        self._thread.shutdown()

    def _send(self, job: Job) -> None:
        try:
            if self._child is None and not self._broken:
                self._child = self._start()
            if self._child is not None and self._child.popen.stdin is not None:
                body = msgspec.msgpack.encode(job)
                self._child.popen.stdin.write(len(body).to_bytes(4) + body)
                self._child.popen.stdin.flush()
        except (OSError, RingfenceError) as error:
            if not self._broken:
                logger.warning("probes are not scored by ViSQOL: %s", error)
            self._broken = True

    def _hurry(self) -> None:
        child = self._child
        if child is not None and child.popen.stdin is not None:
            with contextlib.suppress(OSError):
                child.popen.stdin.write(LOAD_IS_OVER)
                child.popen.stdin.flush()
            with contextlib.suppress(OSError):  # only root may raise a rank; another user's judge goes on at its own
                os.setpriority(os.PRIO_PROCESS, child.pid, _ORDINARY_NICE)

    def _start(self) -> ChildProcess:
        rank = _LOWEST_RANK if os.sched_getscheduler(0) == os.SCHED_OTHER else (*_ORDINARY_CLASS, *_LOWEST_RANK)
        return spawn(
            f"probe-scorer-{self._writer}",
            [*rank, sys.executable, "-m", "calls.media.probe_scorer", "--run-folder", str(self._run_folder),
             "--run-id", self._run_id, "--writer", self._writer],
            log_path=self._run_folder / "logs" / f"probe-scorer-{self._writer}.log",
            env=_ONE_THREAD,
        )  # fmt: skip

    def _finish(self) -> None:
        self._hurry()
        child = self._child
        if child is None:
            return
        if child.popen.stdin is not None:
            with contextlib.suppress(OSError):
                child.popen.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.popen.wait(self._last_scores_s)
        self._killed = self._killed or child.is_running()
        child.stop(LAST_WORDS_S)

"""``python -m calls.quality.probe_scorer``: scores the audio of probe calls, in a process apart from the engine.

A score costs seconds of CPU. So this process has the lowest priority and leaves three quarters of the time to others:
packets come first. Waiting for a processor counts as rest, so a busy machine gives it only what is left over.

Its stdin carries the engine's voice and then jobs: a length (4 bytes, network order) and MessagePack. A length of 0
says that the load is over. Rows go to ``probes/*.parquet``. After the load, or when stdin ends, it works without rest.
On SIGTERM or SIGHUP the waiting jobs get a row that says so, and it ends. No job is dropped without a row.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from bedrock import crash
from bedrock.end_signals import end_signals
from calls.errors import SegmentNotWritten
from calls.media.audio.opus import SAMPLE_RATE
from calls.media.audio.speech import LOOP_S
from calls.media.probe.live_voice import LiveVoice
from calls.quality.alignment import window_delays_ms
from calls.quality.visqol import RATE, Sound, from_48_khz, measure_name, visqol_mos
from calls.records.record import ProbeRow, Side
from calls.records.segments import SegmentWriter

REST_RATIO = 3.0
"""Seconds of rest per second of work, while the engine works too."""
WAITING_MAX = 32
"""About 25 MB. Waiting jobs are scored when the load is over; beyond this the oldest is given up with a row."""
LOAD_IS_OVER = (0).to_bytes(4)
_COARSE = 16
"""The first search for the delay uses the loudness of every millisecond."""


class ScoringAborted(Exception):
    """The scorer was told to end while it worked."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The recording of one side of a probe call."""

    call_id: str
    side: Side
    at_s: float
    from_s: float
    """Monotonic time of the first sample."""
    same_clock: bool
    voice_tag: str
    pcm: bytes
    """16-bit mono samples at 48 kHz."""


def score(job: Job, voice: LiveVoice, run_id: str, writer: str) -> ProbeRow:
    """Returns the row of ``job``."""
    row = _row(job, voice, run_id, writer)
    if job.voice_tag != voice.tag:
        return msgspec.structs.replace(row, reason="unknown_voice")
    heard = from_48_khz(job.pcm)
    loop = from_48_khz(voice.pcm)
    said_at = locate_in_loop(loop, heard)
    if said_at is None:
        return msgspec.structs.replace(row, reason="silence")
    said = np.take(loop, np.arange(said_at, said_at + len(heard)), mode="wrap")
    coarse_ms = (job.from_s - said_at / RATE) % LOOP_S * 1000
    delays_ms = [coarse_ms + fine_ms for fine_ms in window_delays_ms(said, heard, RATE)]
    known = delays_ms if job.same_clock else []
    try:
        mos = visqol_mos(said, heard)
    except ValueError:
        return msgspec.structs.replace(row, reason="silence")
    return msgspec.structs.replace(
        row,
        visqol_mos_lq=mos,
        mouth_to_ear_ms=float(np.median(known)) if known else None,
        mouth_to_ear_spread_ms=max(known) - min(known) if known else None,
    )


def locate_in_loop(loop: Sound, heard: Sound) -> int | None:
    """Returns the sample of ``loop`` at which ``heard`` begins, within a few ms; None without sound."""
    loop_loud, heard_loud = _loudness(loop), _loudness(heard)
    heard_loud = heard_loud[: len(loop_loud)] - heard_loud[: len(loop_loud)].mean()
    if not np.any(np.abs(heard_loud) > 1e-9):
        return None
    spectrum = np.fft.rfft(loop_loud) * np.conj(np.fft.rfft(heard_loud, len(loop_loud)))
    return int(np.argmax(np.fft.irfft(spectrum, len(loop_loud)))) * _COARSE


def _loudness(sound: Sound) -> Sound:
    steps = len(sound) // _COARSE
    return np.asarray(np.mean(sound[: steps * _COARSE].reshape(steps, _COARSE) ** 2, axis=1) ** 0.25)


def _row(job: Job, voice: LiveVoice, run_id: str, writer: str) -> ProbeRow:
    return ProbeRow(
        run_id=run_id,
        writer=writer,
        call_id=job.call_id,
        side=job.side,
        at_s=job.at_s,
        duration_s=len(job.pcm) / 2 / SAMPLE_RATE,
        voice=voice.name,
        measure=measure_name(),
    )


def unscored(job: Job, voice: LiveVoice, run_id: str, writer: str, why: str) -> ProbeRow:
    """Returns the row of a job without a score."""
    return msgspec.structs.replace(_row(job, voice, run_id, writer), reason=why)


def framed(said: LiveVoice | Job) -> bytes:
    """Returns the bytes that an engine writes: for its voice first, then for each job."""
    body = msgspec.msgpack.encode(said)
    return len(body).to_bytes(4) + body


class Scorer:
    """Scores the jobs of one stream."""

    def __init__(
        self, segments: SegmentWriter[ProbeRow], run_id: str, voice: LiveVoice, *, rest: float = REST_RATIO
    ) -> None:
        self._segments = segments
        self._run_id = run_id
        self._rest = rest
        self._voice = voice
        # A SimpleQueue, because a signal handler may ``put`` while ``get`` waits.
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._load_over = threading.Event()
        """The load is over: no need to rest."""
        self.stream_ended = False
        self._gave_up = self._at_work = False
        self._failure: Exception | None = None

    def give_up(self) -> None:
        """Ends ``work`` without scoring the rest. Raises ScoringAborted in the score that is running.

        For a signal handler. The engine normally closes the stream first; otherwise it sees us exit and reports it.
        """
        self._gave_up = True
        self._load_over.set()
        self._waiting.put(None)
        if self._at_work:
            raise ScoringAborted

    def read(self, stream: BinaryIO) -> None:
        """Reads jobs until the stream ends. ``work`` raises the errors of this thread."""
        try:
            while len(head := stream.read(4)) == 4:
                if head == LOAD_IS_OVER:
                    self._load_over.set()
                    continue
                body = stream.read(int.from_bytes(head))
                with contextlib.suppress(msgspec.DecodeError):  # the incomplete last job of an engine that was killed
                    self._waiting.put(msgspec.msgpack.decode(body, type=Job))
        except Exception as error:
            self._failure = error
        self.stream_ended = True
        self._load_over.set()
        self._waiting.put(None)

    def work(self) -> None:
        """Scores until the stream has ended, or a signal came, and no job waits."""
        while (job := self._waiting.get()) is not None:
            began_s, worked_s = time.monotonic(), time.process_time()
            if self._gave_up:
                self._unscored(job, "no_time")
            elif self._waiting.qsize() >= WAITING_MAX and not self._load_over.is_set():
                self._unscored(job, "budget")
            else:
                self._score(job)
            if not self._gave_up:
                self._flush()
                worked_s = time.process_time() - worked_s
                waited_s = time.monotonic() - began_s - worked_s
                self._load_over.wait(max(0.0, worked_s * self._rest - waited_s))
        self._flush()
        if self._failure is not None:
            raise self._failure

    def _score(self, job: Job) -> None:
        self._at_work = True
        try:
            row = score(job, self._voice, self._run_id, self._segments.writer)
        except ScoringAborted:
            self._unscored(job, "no_time")
        else:
            self._segments.append(row)
        finally:
            self._at_work = False

    def _unscored(self, job: Job, why: str) -> None:
        self._segments.append(unscored(job, self._voice, self._run_id, self._segments.writer, why))

    @property
    def rows_left(self) -> int:
        """Number of rows that the disk refused."""
        return self._segments.waiting() + self._segments.rows_given_up

    def _flush(self) -> None:
        try:
            self._segments.flush()
        except SegmentNotWritten as error:
            print(f"{error.message}: {error.hint}", file=sys.stderr, flush=True)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="calls.quality.probe_scorer", description="Judges what probe calls heard.")
    parser.add_argument("--run-folder", type=Path, required=True)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--writer", required=True)
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine handles Ctrl-C; we end when it closes our stdin
    # The engine's own voice: one that we generate here might differ.
    stdin = sys.stdin.buffer
    body = stdin.read(int.from_bytes(stdin.read(4)))
    if not body:
        return
    voice = msgspec.msgpack.decode(body, type=LiveVoice)
    scorer = Scorer(SegmentWriter(given.run_folder / "probes", ProbeRow, given.writer), given.run_id, voice)
    for number in end_signals():
        signal.signal(number, lambda _number, _frame: scorer.give_up())
    threading.Thread(target=scorer.read, args=(stdin,), daemon=True).start()
    scorer.work()
    if not scorer.stream_ended:
        # Told to end before the end of the stream: the engine reports the missing scores. A normal exit would wait for
        # the thread that still reads.
        os._exit(1)
    if scorer.rows_left:
        sys.exit(1)  # the engine reports the missing scores


if __name__ == "__main__":
    with crash.reporting("calls.quality.probe_scorer"):
        main()

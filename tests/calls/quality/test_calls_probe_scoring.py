"""Probes judged apart from the engine: the voice, the delay by GCC-PHAT, ViSQOL, and the process that runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls_world import wait_for
from pyarrow import parquet
from waiting import HANG_LIMIT_S, eventually, eventually_async

from calls.engine.records.probe_scoring_client import ProbeScoringClient
from calls.media.audio.opus import SAMPLE_RATE
from calls.media.audio.speech import LOOP_S
from calls.media.probe.live_voice import ESPEAK, GENERATED, live_voice, make_voice
from calls.media.probe.recording import SEGMENT_S, RecordedAudio, Recording
from calls.quality import probe_scorer
from calls.quality.alignment import gcc_phat, window_delays_ms
from calls.quality.calibration import lossy
from calls.quality.probe_scorer import LOAD_IS_OVER, Job, Scorer, framed, score
from calls.quality.visqol import RATE, from_48_khz, visqol_mos
from calls.records.record import ProbeRow, Side
from calls.records.segments import SegmentWriter


def no_espeak(_argv: Sequence[str]) -> bytes:
    raise FileNotFoundError("espeak-ng")


def job(pcm: bytes, *, delay_s: float, same_clock: bool = True, voice_tag: str = "", call_id: str = "c1") -> Job:
    """Four seconds of the loop from its second second on, heard ``delay_s`` after they were said."""
    start_s, seconds = 1.0, 4.0
    cut = pcm[int(2 * start_s * SAMPLE_RATE) : int(2 * (start_s + seconds) * SAMPLE_RATE)]
    return Job(
        call_id=call_id,
        side=Side.CALLEE,
        at_s=100.0,
        from_s=5 * LOOP_S + start_s + delay_s,
        same_clock=same_clock,
        voice_tag=voice_tag or live_voice().tag,
        pcm=cut,
    )


def test_without_espeak_the_voice_is_generated_and_says_so() -> None:
    voice = make_voice(no_espeak)
    assert voice.name == GENERATED
    assert len(voice.pcm) == 2 * LOOP_S * SAMPLE_RATE


def test_an_espeak_that_talks_rubbish_is_not_trusted() -> None:
    assert make_voice(lambda _argv: b"RIFF not a sound").name == GENERATED


def test_the_live_voice_is_speech_that_fills_its_loop() -> None:
    voice = live_voice()
    assert voice.name == ESPEAK, "make installs espeak-ng; without it probes speak with a generated voice"
    samples = np.frombuffer(voice.pcm, dtype="<i2")
    assert len(samples) == LOOP_S * SAMPLE_RATE
    assert 0.4 < np.mean(np.abs(samples) > 200) < 0.95
    assert make_voice(lambda argv: subprocess.run(argv, check=True, capture_output=True).stdout).tag == voice.tag


def test_gcc_phat_finds_a_lag_to_the_sample_under_noise() -> None:
    rng = np.random.default_rng(3)
    said = from_48_khz(live_voice().pcm)[RATE : 3 * RATE]
    for lag in (-37, 0, 1234):
        heard = np.roll(said, lag) + 0.002 * rng.standard_normal(len(said))
        found_s, clear = gcc_phat(said, heard, RATE, 0.2)
        assert found_s * RATE == pytest.approx(lag, abs=1)
        assert clear > 6
    assert window_delays_ms(said, np.zeros(len(said)), RATE) == []


@pytest.mark.parametrize("delay_s", [0.0875, 1.25])
def test_a_score_holds_mos_and_mouth_to_ear_to_a_millisecond(delay_s: float) -> None:
    voice = live_voice()
    row = score(job(voice.pcm, delay_s=delay_s), voice, "r", "w")

    assert row.mouth_to_ear_ms == pytest.approx(delay_s * 1000, abs=1.0)
    assert row.visqol_mos_lq is not None
    assert row.visqol_mos_lq > 4.5
    assert (row.side, row.duration_s, row.reason) == (Side.CALLEE, 4.0, "")


def test_visqol_hears_loss_and_not_loudness() -> None:
    voice = live_voice()
    said = from_48_khz(voice.pcm)[: 2 * RATE]
    lost, _ = lossy(voice, 60, 12, [False, False, True])
    quiet = visqol_mos(said, 0.25 * said)
    assert quiet == pytest.approx(visqol_mos(said, said), abs=0.02)
    assert visqol_mos(said, from_48_khz(lost)[: 2 * RATE]) < quiet - 0.5
    with pytest.raises(ValueError, match="nothing to compare"):
        visqol_mos(said, np.zeros(RATE))


def test_another_voice_or_silence_is_no_score_and_a_foreign_clock_no_delay() -> None:
    voice = live_voice()
    assert score(job(voice.pcm, delay_s=0.1, voice_tag="live-0"), voice, "r", "w").reason == "unknown_voice"
    silent = score(job(bytes(len(voice.pcm)), delay_s=0.1), voice, "r", "w")
    assert (silent.reason, silent.visqol_mos_lq) == ("silence", None)
    foreign = score(job(voice.pcm, delay_s=0.1, same_clock=False), voice, "r", "w")
    assert foreign.mouth_to_ear_ms is None
    assert foreign.visqol_mos_lq is not None


def test_a_recording_leaves_out_the_warm_up_and_is_no_verdict_when_short() -> None:
    frame, recording = bytes(2 * 960), Recording()
    for number in range(50 * 3):
        recording.add(frame, number * 0.02)
    assert recording.finish() is None
    for number in range(50 * 3, 50 * 20):
        recording.add(frame, number * 0.02)
    finished = recording.finish()
    assert finished is not None
    pcm, from_s = finished
    assert len(pcm) == 2 * SEGMENT_S * SAMPLE_RATE
    assert from_s == pytest.approx(2.0)


def probes(folder: Path) -> list[dict[str, object]]:
    return [
        row for file in sorted((folder / "probes").glob("*.parquet")) for row in parquet.read_table(file).to_pylist()
    ]


class Troubles(list[tuple[str, str]]):
    """What a desk told of its troubles: codes and sentences."""

    def __call__(self, code: str, message: str) -> None:
        self.append((code, message))


def heard(seconds: float = 4.0) -> RecordedAudio:
    return RecordedAudio(live_voice().pcm[: int(2 * seconds * SAMPLE_RATE)], 800.1, live_voice().tag, True)


@pytest.mark.integration
async def test_every_probe_of_a_run_gets_a_row_from_a_process_of_its_own(tmp_path: Path) -> None:
    desk = ProbeScoringClient(tmp_path, "r", "swarm-0", Troubles())
    for number in range(3):
        desk.submit(f"c{number}", Side.CALLER, 100.0, heard(8.0))
    await desk.close()

    rows = probes(tmp_path)
    assert sorted(str(row["call_id"]) for row in rows) == ["c0", "c1", "c2"]
    assert set(rows[0]) == set(ProbeRow.__struct_fields__)
    for row in rows:
        scored = row["visqol_mos_lq"] is not None
        assert scored == (row["reason"] == "")
        assert scored or row["reason"] == "no_time"


class Jobs(FileIO):
    """The reading end of a pipe; a job that was read stands in the queue once the next one is asked for."""

    asked = 0

    def read(self, size: int = -1) -> bytes:
        self.asked += size == 4
        return b"".join(iter_read(super().read, size))


def iter_read(read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    """A pipe gives what it has; who reads wants all of it."""
    while size and (some := read(size)):
        size -= len(some)
        yield some


@dataclass
class Judge:
    """A scorer in this process behind a pipe that stays open, whose scores cost nothing.

    It finishes nothing before ``gate`` is open, and after the first score it rests for hours unless ``rest`` says less.
    """

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    rest: float = 1e7
    gate: threading.Event = field(default_factory=threading.Event)
    is_at_work: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Judge:
        def scored_for_nothing(*given: Any) -> ProbeRow:
            self.is_at_work.set()
            self.gate.wait()
            return probe_scorer._row(*given)

        self.monkeypatch.setattr(probe_scorer, "score", scored_for_nothing)
        out, self._pipe = os.pipe()
        self.stream = Jobs(out)
        self.scorer = Scorer(
            SegmentWriter(self.folder / "probes", ProbeRow, "swarm-0"), "r", live_voice(), rest=self.rest
        )
        self._threads = [
            threading.Thread(target=self.scorer.read, args=(self.stream,)),
            threading.Thread(target=self.scorer.work),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        os.close(self._pipe)
        for thread in self._threads:
            thread.join(HANG_LIMIT_S)
        self.stream.close()

    def say(self, *words: bytes) -> None:
        os.write(self._pipe, b"".join(words))

    def rows(self, count: int) -> list[dict[str, object]]:
        return sorted(
            wait_for(lambda: rows if len(rows := probes(self.folder)) == count else None),
            key=lambda row: str(row["call_id"]),
        )


def numbered_job(number: int) -> bytes:
    return framed(job(bytes(96), delay_s=0.1, call_id=f"c{number:02d}"))


def test_what_waits_while_the_load_is_on_is_scored_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Judge(tmp_path, monkeypatch) as judge:
        judge.gate.set()
        judge.say(*map(numbered_job, range(12)))
        assert len(judge.rows(1)) == 1  # then it rests
        judge.say(LOAD_IS_OVER)
        assert [row["reason"] for row in judge.rows(12)] == [""] * 12


def test_more_than_can_be_kept_is_given_up_from_the_oldest_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_scorer, "WAITING_MAX", 3)
    with Judge(tmp_path, monkeypatch, rest=0.0) as judge:
        judge.say(numbered_job(0))
        assert judge.is_at_work.wait(HANG_LIMIT_S)
        judge.say(*map(numbered_job, range(1, 8)))
        assert eventually(lambda: judge.stream.asked == 9)  # the first is at work, seven wait
        judge.gate.set()
        assert [row["reason"] for row in judge.rows(8)] == ["", *["budget"] * 4, *[""] * 3]


@pytest.mark.integration
async def test_a_judge_that_hangs_is_killed_and_keeps_nobody(tmp_path: Path) -> None:
    desk = ProbeScoringClient(tmp_path, "r", "swarm-0", Troubles(), last_scores_s=0.5)
    desk.submit("c0", Side.CALLER, 100.0, heard())
    assert await eventually_async(lambda: desk.pid)
    assert desk.pid is not None
    os.kill(desk.pid, signal.SIGSTOP)
    for number in range(4):
        desk.submit(f"c{number}", Side.CALLER, 100.0, heard(8.0))
    await desk.close()
    with pytest.raises(ProcessLookupError):
        os.kill(desk.pid, 0)


async def started(desk: ProbeScoringClient) -> int:
    assert await eventually_async(lambda: desk.pid is not None)
    assert desk.pid is not None
    return desk.pid


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_the_death_of_the_judge_is_told_at_once_and_every_missing_score_says_why(
    tmp_path: Path, number: signal.Signals
) -> None:
    told = Troubles()
    desk = ProbeScoringClient(tmp_path, "r", "swarm-0", told)
    desk.submit("c0", Side.CALLER, 100.0, heard())
    assert await eventually_async(lambda: probes(tmp_path))
    desk.submit("c1", Side.CALLER, 101.0, heard())
    os.kill(await started(desk), number)
    assert await eventually_async(lambda: told)
    for side in (Side.CALLER, Side.CALLEE):
        desk.submit("c2", side, 102.0, heard(8.0))
    await desk.close()
    assert told == [
        ("scorer_died", f"the probe scorer ended early; its calls have no ViSQOL score (signal {number.name})")
    ]
    rows = {(row["call_id"], row["side"]): row for row in probes(tmp_path)}
    assert len(rows) == len(probes(tmp_path)) == 4
    assert rows.pop(("c0", "caller"))["reason"] == ""
    assert {row["reason"] for row in rows.values()} <= {"scorer_died", ""}
    assert [rows["c2", side]["reason"] for side in ("caller", "callee")] == ["scorer_died"] * 2
    assert [rows["c2", side]["duration_s"] for side in ("caller", "callee")] == [8.0] * 2


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_judge_that_is_told_to_end_writes_what_it_did_not_score_and_its_end_is_told(
    tmp_path: Path, number: signal.Signals
) -> None:
    told = Troubles()
    desk = ProbeScoringClient(tmp_path, "r", "swarm-0", told)
    desk.submit("c0", Side.CALLER, 100.0, heard())
    assert await eventually_async(lambda: probes(tmp_path))
    os.kill(await started(desk), number)
    assert await eventually_async(lambda: told)
    await desk.close()
    assert told == [("scorer_died", "the probe scorer ended early; its calls have no ViSQOL score (exit code 1)")]


@pytest.mark.integration
async def test_a_judge_that_we_had_to_end_owes_no_row_and_is_no_death(tmp_path: Path) -> None:
    told = Troubles()
    desk = ProbeScoringClient(tmp_path, "r", "swarm-0", told, last_scores_s=0.2)
    desk.submit("c0", Side.CALLER, 100.0, heard())
    os.kill(await started(desk), signal.SIGSTOP)
    await desk.close()
    assert told == []
    assert [row["reason"] for row in probes(tmp_path)] == ["no_time"]


@pytest.mark.integration
async def test_a_judge_without_probes_or_without_trouble_tells_nothing(tmp_path: Path) -> None:
    for count in (0, 1):
        told = Troubles()
        desk = ProbeScoringClient(tmp_path, "r", f"swarm-{count}", told)
        for number in range(count):
            desk.submit(f"c{number}", Side.CALLER, 100.0, heard())
        await desk.close()
        assert told == []


def test_one_utterance_that_came_out_differently_does_not_change_the_voice() -> None:
    """Seen: espeak-ng said the same sentence a little differently once, and one process knew nobody's voice."""
    count = 0

    def speak(argv: Sequence[str]) -> bytes:
        nonlocal count
        count += 1
        wav = bytearray(subprocess.run(argv, check=True, capture_output=True).stdout)
        if count in (1, 5):
            wav[4001] ^= 0x08
        return bytes(wav)

    assert make_voice(speak).tag == live_voice().tag
    assert make_voice(lambda argv: os.urandom(8)).name == GENERATED


@pytest.mark.integration
async def test_the_judge_knows_the_voice_of_its_engine_even_when_it_would_speak_with_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_voice()
    # Any espeak-ng that the judge could find now is no use to it.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "espeak-ng").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "espeak-ng").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    desk = ProbeScoringClient(tmp_path, "r", "swarm-0", Troubles())
    desk.submit("c0", Side.CALLER, 100.0, heard())
    assert await eventually_async(lambda: probes(tmp_path))
    await desk.close()
    assert [(row["reason"], row["voice"]) for row in probes(tmp_path)] == [("", live_voice().name)]


async def test_a_judge_that_cannot_be_started_costs_scores_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = Troubles()
    desk = ProbeScoringClient(tmp_path, "r", "swarm-0", told)
    desk.submit("c1", Side.CALLER, 100.0, heard())
    desk.submit("c2", Side.CALLER, 100.0, heard())
    await desk.close()
    assert [row["reason"] for row in probes(tmp_path)] == ["scorer_not_started"] * 2
    assert [code for code, _ in told] == ["scorer_not_started"]
    assert caplog.text.count("probe audio is not scored: 'setpriv' is not on this machine") == 1

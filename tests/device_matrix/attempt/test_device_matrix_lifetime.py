"""How attempts are bounded and ended: the watchdog, the request to stop, and the log of both."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from waiting import HANG_LIMIT_S, eventually

from bedrock.clock import SystemClock
from calls.bridge.messages import StillClosing
from device_matrix.artifacts import StepLog, next_attempt, replay_command
from device_matrix.attempt.lifetime import ORDERLY_END_S, StopRequest
from device_matrix.attempt.watchdog import Watchdog
from device_matrix.attempt.worker import RunSettings, Worker
from device_matrix.cpu.pressure import PressureGauge
from reports.run.live import LiveReader


class HeldClock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.asked = 0

    def monotonic_s(self) -> float:
        self.asked += 1
        return self.now_s

    def unix_s(self) -> float:
        return self.now_s


class HeldLimits(threading.Condition):
    """Lets a wait's time pass when the test says so, and notes how long each wait was to be."""

    def __init__(self) -> None:
        super().__init__()
        self.limits_s: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.limits_s.append(timeout)
        return super().wait(HANG_LIMIT_S)

    def pass_the_limit(self) -> None:
        with self:
            self.notify_all()


def test_a_watchdog_that_is_fed_stays_quiet() -> None:
    barked, waits = threading.Event(), HeldLimits()
    with Watchdog(7.5, barked.set, waits) as watchdog:
        for fed in range(6):
            assert eventually(lambda fed=fed: len(waits.limits_s) == fed + 1)  # type: ignore[misc]
            watchdog.feed()
        assert eventually(lambda: len(waits.limits_s) == 7)
    assert waits.limits_s == [7.5] * 7, "each feed starts the whole limit anew"
    assert not watchdog.fired
    assert not barked.is_set()


def test_a_watchdog_that_is_not_fed_acts_once_and_ends() -> None:
    acted: list[str] = []
    waits = HeldLimits()
    with Watchdog(7.5, lambda: acted.append("killed"), waits) as watchdog:
        assert eventually(lambda: waits.limits_s)
        waits.pass_the_limit()
        assert eventually(lambda: not watchdog._thread.is_alive()), "it goes on after it has acted"
        assert acted == ["killed"]
    assert watchdog.fired
    assert waits.limits_s == [7.5]


def test_a_watchdog_bites_by_the_real_clock_too() -> None:
    acted = threading.Event()
    with Watchdog(0.01, acted.set) as watchdog:
        assert acted.wait(HANG_LIMIT_S)
    assert watchdog.fired


class LastMoment:
    """Notes with which code a process would have left, and lets its thread go."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    def leave(self, code: int) -> None:
        self.codes.append(code)


def watching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "last moment"]


def looked_again(clock: HeldClock) -> bool:
    """Whether the thread that watches has seen the clock where it stands, twice."""
    asked = clock.asked
    return eventually(lambda: clock.asked >= asked + 2 or not watching())


def test_a_worker_leaves_at_once_only_when_nothing_makes_progress() -> None:
    clock, last = HeldClock(), LastMoment()
    stop = StopRequest(clock, last.leave)
    clock.now_s += 1000
    with stop.handling_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    clock.now_s += ORDERLY_END_S
    assert looked_again(clock)
    for left in (9, 8, 7):
        stop.note_progress("hanging up", left, 20.0)
        clock.now_s += 20.0 + ORDERLY_END_S
        assert looked_again(clock)
    stop.note_progress("hanging up", 7, 20.0)
    assert (last.codes, len(watching())) == ([], 1), "it makes progress"
    clock.now_s += 0.1
    assert eventually(lambda: not watching())
    assert last.codes == [1]


def test_a_far_end_that_ends_is_heard_by_who_waits_for_it(tmp_path: Path) -> None:
    settings = RunSettings(
        run_id="r", run_folder=str(tmp_path), plan="smoke", seed=1, sustain_s=2.0, retries_environment=0,
        target_url="http://127.0.0.1:9", admin_token="", appium_url="",
    )  # fmt: skip
    clock = HeldClock()
    worker = Worker("matrix-gw1", settings, {}, {}, clock, StopRequest(clock, bool))
    worker.stop_request.note_progress("hanging up", 2, 20.0)
    worker.far_end._on_event(StillClosing(step="hanging up", left=1, limit_s=20.0))
    assert worker.stop_request._watch.in_words() == "it got no further than 'hanging up', 1 left"
    (line,) = LiveReader(tmp_path / "live" / "matrix.jsonl").read_new()
    told = {key: line[key] for key in ("event", "worker", "step", "left", "limit_s")}
    assert told == {"event": "closing", "worker": "matrix-gw1", "step": "hanging up", "left": 1, "limit_s": 20.0}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_a_request_that_the_next_step_obeys(number: signal.Signals) -> None:
    clock = HeldClock()
    stop = StopRequest(clock, bool)
    steps = StepLog(SystemClock(), stop.check)
    before = signal.getsignal(number)
    with stop.handling_signals():
        steps.begin("open_link")
        os.kill(os.getpid(), number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            steps.begin("launch")
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(number) is before
    assert steps.current == "open_link"
    clock.now_s += 2 * ORDERLY_END_S
    assert eventually(lambda: not watching())


def test_steps_are_logged_with_their_times() -> None:
    clock = HeldClock()
    steps = StepLog(clock, lambda: None)
    steps.begin("open_link")
    clock.now_s += 0.25
    steps.begin("launch")
    clock.now_s += 1.5
    assert [line.split() for line in steps.lines()] == [["0.000", "0.250", "open_link"], ["0.250", "1.500", "launch"]]


def test_attempts_never_overwrite_an_earlier_result(tmp_path: Path) -> None:
    assert next_attempt(tmp_path, "a--b--c") == 1
    first = tmp_path / "cells" / "a--b--c" / "1"
    first.mkdir(parents=True)
    assert next_attempt(tmp_path, "a--b--c") == 1, "a folder without a result is an attempt that never ended"
    (first / "cell.json").touch()
    assert next_attempt(tmp_path, "a--b--c") == 2


def test_the_replay_command_can_be_pasted() -> None:
    assert replay_command("my plans/x.toml", "a--b--c") == "ringfence matrix --plan 'my plans/x.toml' --cell a--b--c"


def test_pressure_is_the_share_of_time_that_something_waited(tmp_path: Path) -> None:
    clock, path = HeldClock(), tmp_path / "cpu"
    path.write_text("some avg10=1.00 avg60=1.00 avg300=1.00 total=5000000\nfull avg10=0 avg60=0 avg300=0 total=0\n")
    gauge = PressureGauge(clock, path)
    clock.now_s += 10
    path.write_text("some avg10=9.00 avg60=1.00 avg300=1.00 total=8000000\nfull avg10=0 avg60=0 avg300=0 total=0\n")
    assert gauge.ratio() == pytest.approx(0.3)
    assert PressureGauge(clock, tmp_path / "missing").ratio() is None

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from calls_world import Driver, Service, rows, wait_for
from waiting import HANG_LIMIT_S, eventually

from bedrock.errors import EnvironmentLacks
from calls.bridge.client import EngineClient
from calls.bridge.messages import (
    AnswerHabit,
    Configure,
    Drain,
    EngineHealth,
    EngineTrouble,
    PersonSpec,
    SignIn,
    Snapshot,
    TargetSpec,
)
from calls.errors import EngineGone, EngineRefused, EngineSilent
from calls.records.record import Blame, Outcome

pytestmark = pytest.mark.integration
LONG_S = 10 * HANG_LIMIT_S
"""No test sees the planned end of such a talk."""
LONG_SILENCE_S = 4.0
"""Of an engine that tells something every second: to be given up it must be stopped, however slow the machine is."""


def talking(driver: Driver, name: str) -> bool | None:
    return driver.client.request(Snapshot(name=name), HANG_LIMIT_S).state == "talking" or None


def test_draining_lets_calls_end_then_hangs_up(tmp_path: Path) -> None:
    service = Service(tmp_path)
    engine = Driver(tmp_path, "swarm-0", service.url)
    try:
        names = ("ann", "bob", "cid", "dan", "eve", "fin")
        service.seed(*names)
        for name in names:
            engine.sign_in(name, answers=AnswerHabit(answer_after_s=0.1, ignore_ratio=1.0 if name == "fin" else 0.0))
        short = engine.start_call("ann", "bob", talk_s=1.0)
        long = engine.start_call("cid", "dan", talk_s=LONG_S)
        ringing = engine.start_call("eve", "fin")
        wait_for(lambda: talking(engine, "dan"))
        short()
        began_s = time.monotonic()
        drained = engine.client.request(Drain(timeout_s=0.5), HANG_LIMIT_S)
        assert time.monotonic() - began_s >= 0.5  # how exactly: test_calls_engine_in_held_time.py
        assert (drained.ended, drained.forced) == (4, 4)
        assert (short().outcome, short().reason) == (Outcome.COMPLETED, "")
        assert (long().outcome, long().reason, long().hung_up_cleanly) == (Outcome.COMPLETED, "drained", True)
        assert ringing().outcome is Outcome.CANCELED
        assert len(rows(tmp_path, "calls", "call_id")) == 6
        with pytest.raises(EngineRefused) as refused:
            engine.call("ann", "bob")
        assert refused.value.code == "draining"
    finally:
        engine.close()
        service.process.stop()


def test_a_killed_engine_is_told_at_once_and_its_segments_stay_readable(tmp_path: Path) -> None:
    service = Service(tmp_path)
    here, there = Driver(tmp_path, "swarm-0", service.url), Driver(tmp_path, "swarm-1", service.url)
    try:
        service.seed("ann", "bob")
        here.sign_in("ann")
        there.sign_in("bob")
        done = here.call("ann", "bob", talk_s=0.5)
        wait_for(lambda: rows(tmp_path, "calls", "call_id") or None if (tmp_path / "calls").exists() else None)
        wait_for(lambda: len(rows(tmp_path, "calls", "call_id")) == 2 or None)
        cut = here.start_call("ann", "bob", talk_s=LONG_S)
        wait_for(lambda: talking(there, "bob"))
        os.kill(here.client.pid, signal.SIGKILL)
        with pytest.raises(EngineGone, match="killed by signal 9"):  # and not when some limit is over
            cut()
        assert not here.client.is_alive()
        with pytest.raises(EngineGone):
            here.client.request(Snapshot(name="ann"), HANG_LIMIT_S)
        left = wait_for(lambda: next((leg for leg in there.callee_legs if leg.call_id != done.call_id), None))
        assert (left.outcome, left.reason, left.blame) == (Outcome.FAILED, "peer_lost", Blame.GENERATOR)
        assert {row[0] for row in rows(tmp_path, "calls", "call_id")} >= {done.call_id}
    finally:
        here.close()
        there.close()
        service.process.stop()


def test_a_service_that_dies_ends_every_call_and_is_blamed(tmp_path: Path) -> None:
    service = Service(tmp_path)
    here, there = Driver(tmp_path, "swarm-0", service.url), Driver(tmp_path, "swarm-1", service.url)
    try:
        service.seed("ann", "bob", "cid", "dan")
        for driver, name in ((here, "ann"), (there, "bob"), (here, "cid")):
            driver.sign_in(name)
        there.sign_in("dan", answers=AnswerHabit(ignore_ratio=1.0))
        on = here.start_call("ann", "bob", talk_s=LONG_S)
        ringing = here.start_call("cid", "dan", talk_s=LONG_S)
        wait_for(lambda: talking(there, "bob"))
        service.process.signal(signal.SIGKILL)
        for leg in (on(), ringing(), there.callee_leg(on().call_id)):
            assert (leg.outcome, leg.reason, leg.blame) == (Outcome.FAILED, "signaling_lost", Blame.TARGET)
            assert not leg.hung_up_cleanly
        late = here.call("ann", "bob")
        assert (late.outcome, late.reason, late.blame) == (Outcome.FAILED, "signaling_lost", Blame.TARGET)
        with pytest.raises(EngineRefused) as refused:
            here.client.request(SignIn(person=PersonSpec(name="eve", password="x")), HANG_LIMIT_S)
        assert refused.value.code == "target_unreachable"
    finally:
        here.close()
        there.close()
        service.process.stop()


def test_people_come_back_online_when_the_service_does(tmp_path: Path) -> None:
    service = Service(tmp_path)
    port = service.url.rsplit(":", 1)[1]
    engine = Driver(tmp_path, "swarm-0", service.url)
    try:
        service.seed("ann", "bob")
        engine.sign_in("ann")
        engine.sign_in("bob")
        service.process.stop()
        wait_for(lambda: None if engine.client.request(Snapshot(name="ann"), HANG_LIMIT_S).online else True)
        service = Service(tmp_path, "--port", port)
        for name in ("ann", "bob"):
            wait_for(lambda name=name: engine.client.request(Snapshot(name=name), HANG_LIMIT_S).online or None)
        assert engine.call("ann", "bob").outcome is Outcome.COMPLETED
    finally:
        engine.close()
        service.process.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_writes_down_the_calls_that_it_cuts_off(tmp_path: Path, number: signal.Signals) -> None:
    service = Service(tmp_path)
    here, there = Driver(tmp_path, "swarm-0", service.url), Driver(tmp_path, "swarm-1", service.url)
    try:
        service.seed("ann", "bob")
        here.sign_in("ann")
        there.sign_in("bob")
        call = here.start_call("ann", "bob", talk_s=LONG_S)
        wait_for(lambda: talking(there, "bob"))
        os.kill(here.client.pid, number)
        with pytest.raises(EngineGone, match="exit code 0"):
            call()
        assert rows(tmp_path, "calls", "outcome, reason, blame, writer") == [
            ("failed", "engine_stopped", "generator", "swarm-0")
        ]
        # The far end was told: a hang-up, not a lost peer after a grace.
        far = wait_for(lambda: there.callee_legs or None)[0]
        assert far.hung_up_cleanly
    finally:
        here.close()
        there.close()
        service.process.stop()


def test_an_engine_ends_when_its_driver_dies(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from calls.bridge.client import EngineClient\n"
        "client = EngineClient.spawn(Path(sys.argv[1]), 'r', 'swarm-0', 'engine')\n"
        "print(client.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    driver = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, timeout=HANG_LIMIT_S, check=False
    )
    assert driver.returncode == -9
    pid = int(driver.stdout)
    wait_for(lambda: True if not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie" else None)


def test_an_engine_ends_at_the_end_of_its_stdin(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "calls.engine", "--ipc", f"ipc://{tmp_path}/e.sock", "--run-folder", str(tmp_path)]
    with subprocess.Popen(
        [*argv, "--run-id", "r", "--writer", "w"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as engine:
        assert engine.stdout is not None
        assert engine.stdin is not None
        assert json.loads(engine.stdout.readline())["event"] == "ready"
        engine.stdin.close()
        assert engine.wait(HANG_LIMIT_S) == 0


def test_an_engine_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLacks, match="engine swarm-0") as lacks:
        EngineClient.spawn(tmp_path, "r", "swarm-0", "no_such_role")
    assert "invalid choice" in lacks.value.hint


def test_a_stuck_engine_is_silent_for_a_request_and_alive(tmp_path: Path) -> None:
    engine = Driver(tmp_path, "swarm-0", "http://127.0.0.1:9")
    try:
        os.kill(engine.client.pid, signal.SIGSTOP)
        with pytest.raises(EngineSilent, match=r"Snapshot within 0\.3 s"):
            engine.client.request(Snapshot(name="ann"), 0.3)
        assert engine.client.is_alive()
        os.kill(engine.client.pid, signal.SIGCONT)
        with pytest.raises(EngineRefused):
            engine.client.request(Snapshot(name="ann"), HANG_LIMIT_S)
    finally:
        engine.close()


def test_an_engine_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    events: list[object] = []
    client = EngineClient.spawn(tmp_path, "r", "swarm-0", "engine", on_event=events.append, silent_s=0.2)
    try:
        # Nobody has configured it, so nobody expects it to say something: a request waits as long as it likes.
        os.kill(client.pid, signal.SIGSTOP)
        early = client.submit(Snapshot(name="ann"))
        with pytest.raises(TimeoutError):
            early.result(1.0)  # five times as long as a configured one may be silent
        os.kill(client.pid, signal.SIGCONT)
        with pytest.raises(EngineRefused):  # nobody has configured it, so it had nothing to tell
            early.result(HANG_LIMIT_S)
    finally:
        client.close()
    client = EngineClient.spawn(tmp_path, "r", "swarm-1", "engine", on_event=events.append, silent_s=LONG_SILENCE_S)
    try:
        client.request(Configure(target=TargetSpec(kind="reference", url="http://127.0.0.1:9")), HANG_LIMIT_S)
        assert eventually(lambda: any(isinstance(event, EngineHealth) for event in events))
        os.kill(client.pid, signal.SIGSTOP)
        with pytest.raises(EngineGone, match=f"sent nothing for {LONG_SILENCE_S:.0f} s"):
            client.submit(Snapshot(name="ann")).result(HANG_LIMIT_S)
    finally:
        client.close(timeout_s=1.0)


def test_events_wait_in_a_queue_when_nobody_listens(tmp_path: Path) -> None:
    client = EngineClient.spawn(tmp_path, "r", "swarm-0", "engine")
    try:
        client.request(Configure(target=TargetSpec(kind="reference", url="http://127.0.0.1:9")), HANG_LIMIT_S)
        event = client.events.get(timeout=HANG_LIMIT_S)
        assert isinstance(event, EngineHealth)
        assert (event.row.writer, event.row.role) == ("swarm-0", "engine")
    finally:
        client.close()
        client.close()


def test_an_unknown_target_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    client = EngineClient.spawn(tmp_path, "r", "swarm-0", "engine")
    try:
        with pytest.raises(EngineRefused, match="referenz") as refused:
            client.request(Configure(target=TargetSpec(kind="referenz", url="http://127.0.0.1:9")), HANG_LIMIT_S)
        assert (refused.value.code, refused.value.hint) == ("unknown_target", "did you mean 'reference'?")
        with pytest.raises(EngineRefused) as early:
            client.request(Snapshot(name="ann"), HANG_LIMIT_S)
        assert early.value.code == "not_signed_in"
        with pytest.raises(EngineRefused) as early:
            client.request(SignIn(person=PersonSpec(name="ann", password="x")), HANG_LIMIT_S)
        assert early.value.code == "not_configured"
    finally:
        client.close()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "health").write_text("a file where a folder should be")
    client = EngineClient.spawn(tmp_path, "r", "swarm-0", "engine")
    try:
        client.request(Configure(target=TargetSpec(kind="reference", url="http://127.0.0.1:9")), HANG_LIMIT_S)
        trouble = wait_for(
            lambda: event if isinstance(event := client.events.get(timeout=HANG_LIMIT_S), EngineTrouble) else None
        )
        assert trouble.code == "segment_not_written"
        assert "health" in trouble.message
        (tmp_path / "health").unlink()
        wait_for(lambda: list(tmp_path.glob("health/*.parquet")) or None)
    finally:
        client.close()


def test_a_caller_gives_up_when_the_audio_dies(tmp_path: Path) -> None:
    service = Service(tmp_path)
    here = Driver(tmp_path, "swarm-0", service.url, silence_limit_s=3.0)
    there = Driver(tmp_path, "swarm-1", service.url)
    try:
        service.seed("ann", "bob")
        here.sign_in("ann")
        there.sign_in("bob")
        on = here.start_call("ann", "bob", talk_s=LONG_S)
        wait_for(lambda: talking(there, "bob"))
        wait_for(lambda: talking(here, "ann"))
        os.kill(there.client.pid, signal.SIGSTOP)
        leg = on()
        assert (leg.outcome, leg.reason, leg.hung_up_cleanly) == (Outcome.FAILED, "audio_died", True)
        assert leg.blame is Blame.UNKNOWN  # neither our sockets nor a link dropped anything
        assert leg.max_gap_ms is not None
        assert leg.max_gap_ms > 3000
    finally:
        os.kill(there.client.pid, signal.SIGCONT)
        here.close()
        there.close()
        service.process.stop()

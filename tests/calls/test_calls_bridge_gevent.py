from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from calls_world import PASSWORD, Service

pytestmark = pytest.mark.integration

SCRIPT = """
from gevent import monkey
monkey.patch_all()
import os, signal, sys, time
from pathlib import Path
import gevent
import zmq.green
from calls.bridge.client import EngineClient
from calls.bridge.messages import (
    AnswerHabit, Configure, EngineHealth, LegFinished, PersonSpec, PlaceCall, SignIn, Snapshot, TargetSpec)
from calls.errors import EngineGone

folder, url, password = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
events = []
engine = EngineClient.spawn(folder, "r", "swarm-0", "engine", zmq_module=zmq.green, on_event=events.append)
ticks = []

def tick():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.01)

ticker = gevent.spawn(tick)
engine.request(Configure(target=TargetSpec(kind="reference", url=url)), 5.0)
habit = AnswerHabit(answer_after_s=0.1)

def sign_in(name):
    engine.request(SignIn(person=PersonSpec(name=name, password=password, answers=habit)), 10.0)

def call(pair):
    order = PlaceCall(caller=pair[0], callee=pair[1], intended_at_s=time.time(), talk_s=1.5)
    return engine.request(order, 20.0).leg.outcome.value

names = [f"p{i}" for i in range(6)]
gevent.joinall([gevent.spawn(sign_in, name) for name in names], raise_error=True)
began, used = time.monotonic(), time.process_time()
calls = [gevent.spawn(call, pair) for pair in (names[:2], names[2:4], names[4:])]
gevent.joinall(calls, raise_error=True)
took, used = time.monotonic() - began, time.process_time() - used
assert [c.value for c in calls] == ["completed"] * 3, [c.value for c in calls]
assert took < 10.0, took  # side by side, not one after the other
assert used < 0.3 * took, (used, took)  # nobody polls
assert max(b - a for a, b in zip(ticks, ticks[1:])) < 1.0  # nobody blocks the hub
deadline = time.monotonic() + 5
while sum(isinstance(e, LegFinished) for e in events) < 3 and time.monotonic() < deadline:
    gevent.sleep(0.02)
assert sum(isinstance(e, LegFinished) for e in events) == 3
assert any(isinstance(e, EngineHealth) for e in events)
waiter = engine.submit(PlaceCall(caller="p0", callee="p1", intended_at_s=time.time(), talk_s=60))
gevent.sleep(0.3)
os.kill(engine.pid, signal.SIGKILL)
began = time.monotonic()
try:
    waiter.result(5)
    raise SystemExit("a dead engine answered")
except EngineGone as gone:
    assert "exit code -9" in str(gone), gone
assert time.monotonic() - began < 4.0  # not when the patience of 5 s is over
engine.close()
ticker.kill()
print("all fine")
"""


def test_the_client_works_in_greenlets(tmp_path: Path) -> None:
    service = Service(tmp_path)
    try:
        service.seed(*(f"p{number}" for number in range(6)))
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), service.url, PASSWORD],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "all fine" in done.stdout
    finally:
        service.process.stop()

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from calls_world import PASSWORD, Service
from waiting import HANG_LIMIT_S

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

folder, url, password, LIMIT_S = Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
events = []
engine = EngineClient.spawn(folder, "r", "swarm-0", "engine", zmq_module=zmq.green, on_event=events.append)
waits = []

def noted(wait):
    def waited(*given, **named):
        waits.append(1)
        return wait(*given, **named)
    return waited

zmq.green.Poller.poll = noted(zmq.green.Poller.poll)
turns = []

def turn():
    while True:
        turns.append(1)
        gevent.sleep(0.01)

turner = gevent.spawn(turn)
engine.request(Configure(target=TargetSpec(kind="reference", url=url), setup_limit_s=LIMIT_S), LIMIT_S)
habit = AnswerHabit(answer_after_s=0.1)

def sign_in(name):
    engine.request(SignIn(person=PersonSpec(name=name, password=password, answers=habit)), LIMIT_S)

def call(pair):
    order = PlaceCall(caller=pair[0], callee=pair[1], intended_at_s=time.time(), talk_s=1.5)
    return engine.request(order, LIMIT_S).leg

names = [f"p{i}" for i in range(6)]
gevent.joinall([gevent.spawn(sign_in, name) for name in names], raise_error=True)
heard_before, waits_before, turns_before = len(events), len(waits), len(turns)
calls = [gevent.spawn(call, pair) for pair in (names[:2], names[2:4], names[4:])]
gevent.joinall(calls, raise_error=True)
legs = [c.value for c in calls]
assert [leg.outcome.value for leg in legs] == ["completed"] * 3, legs
# Side by side, not one after the other: the last began before the first ended.
assert max(leg.started_at_s for leg in legs) < min(leg.ended_at_s for leg in legs), legs
heard = len(events) - heard_before + 3 + 3  # events and replies that came, and commands that left
assert len(waits) - waits_before <= 2 * heard + 2, "somebody polls: more waits than things that happened"
assert len(turns) > turns_before + 3, "somebody blocks the hub"
with gevent.Timeout(LIMIT_S):
    while sum(isinstance(e, LegFinished) for e in events) < 3 or not any(isinstance(e, EngineHealth) for e in events):
        gevent.sleep(0.02)
assert sum(isinstance(e, LegFinished) for e in events) == 3
waiter = engine.submit(PlaceCall(caller="p0", callee="p1", intended_at_s=time.time(), talk_s=10 * LIMIT_S))
with gevent.Timeout(LIMIT_S):
    while engine.request(Snapshot(name="p1"), LIMIT_S).state != "talking":
        gevent.sleep(0.02)
os.kill(engine.pid, signal.SIGKILL)
try:
    waiter.result(LIMIT_S)
    raise SystemExit("a dead engine answered")
except EngineGone as gone:
    assert "killed by signal 9" in str(gone), gone  # not when some patience is over
engine.close()
turner.kill()
print("all fine")
"""


def test_the_client_works_in_greenlets(tmp_path: Path) -> None:
    service = Service(tmp_path)
    try:
        service.seed(*(f"p{number}" for number in range(6)))
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), service.url, PASSWORD, str(HANG_LIMIT_S)],
            capture_output=True,
            text=True,
            timeout=HANG_LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "all fine" in done.stdout
    finally:
        service.process.stop()

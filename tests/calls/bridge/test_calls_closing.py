"""An engine that ends slowly is waited for, one that is stuck is not, and nobody is blamed for the wait."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
from calls_world import Driver
from rogue_service import RogueService
from waiting import HANG_LIMIT_S, eventually, eventually_async

from bedrock.child_process import spawn
from bedrock.scratch import ScratchFolder
from calls.bridge.client import EngineClient
from calls.bridge.closing import ENGINE_MARGIN_S, ClosingWatch
from calls.bridge.messages import AnyEvent, Drained, StillClosing
from calls.engine.closing import GRACE_S, ClosingReporter, finish_all, hang_up_limit_s
from calls.errors import EngineSilent
from calls.records.record import Blame, Outcome

SLOW_ENGINE = """
import asyncio, json, os, sys
from calls.bridge.messages import Done, Drain, Drained, StillClosing
from calls.engine.server import Server

class Engine:
    def __init__(self):
        self.stopping = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def carry_out(self, command):
        if isinstance(command, Drain):
            left = 2
            while left:
                server.tell(StillClosing(step="hanging up", left=left, limit_s=20.0))
                await self.goes_on.wait()
                self.goes_on.clear()
                left -= 1
            return Drained(ended=2, forced=2)
        self.stopping.set()
        return Done()

async def run():
    global server
    server, engine = Server(sys.argv[1]), Engine()
    def next_step():
        if os.read(0, 1):
            engine.goes_on.set()
        else:
            asyncio.get_running_loop().remove_reader(0)
    asyncio.get_running_loop().add_reader(0, next_step)
    print(json.dumps({"event": "ready"}), flush=True)
    try:
        await server.serve(engine)
    finally:
        server.close()

asyncio.run(run())
"""
"""An engine as far as its end goes; each byte on its stdin lets one more of two calls end."""


class HandClock:
    def __init__(self) -> None:
        self.now_s = 1000.0
        self.looks = 0

    def monotonic_s(self) -> float:
        self.looks += 1
        return self.now_s

    def unix_s(self) -> float:
        return self.now_s


class SlowEngine:
    """A driver's view of the slow engine, with a clock in hand; ``heard`` is what it told."""

    def __init__(self, client: EngineClient, clock: HandClock, heard: list[AnyEvent]) -> None:
        self.client, self.clock, self.heard = client, clock, heard
        self.outcome: Drained | EngineSilent | None = None
        self._draining = threading.Thread(target=self._drain)

    def begin(self) -> None:
        self._draining.start()
        assert eventually(lambda: self.heard)

    def time_passes(self, seconds: float) -> None:
        """Lets the driver see that it is so much later."""
        self.clock.now_s += seconds
        looks = self.clock.looks
        assert eventually(lambda: self.clock.looks > looks or self.outcome is not None)

    def next_call_ends(self) -> None:
        stdin = self.client.child.popen.stdin
        assert stdin is not None
        stdin.write(b".")
        stdin.flush()

    def result(self) -> Drained | EngineSilent | None:
        self._draining.join(HANG_LIMIT_S)
        return self.outcome

    def _drain(self) -> None:
        try:
            self.outcome = self.client.drain(0.0)
        except EngineSilent as error:
            self.outcome = error


@contextmanager
def slow_engine(folder: Path) -> Iterator[SlowEngine]:
    scratch = ScratchFolder()
    argv = [sys.executable, "-c", SLOW_ENGINE, f"ipc://{scratch.path}/engine.sock"]
    child = spawn("slow engine", argv, log_path=folder / "engine.log", pipe_stdout=True)
    child.wait_ready(HANG_LIMIT_S)
    clock, heard = HandClock(), list[AnyEvent]()
    client = EngineClient(child, scratch, zmq, heard.append, clock=clock)
    try:
        yield SlowEngine(client, clock, heard)
    finally:
        client.close()


def test_an_engine_that_ends_slowly_is_waited_for_while_it_makes_progress(tmp_path: Path) -> None:
    with slow_engine(tmp_path) as engine:
        engine.begin()
        engine.time_passes(20.0 + ENGINE_MARGIN_S - 1)
        engine.next_call_ends()
        assert eventually(lambda: len(engine.heard) == 2)
        engine.time_passes(20.0 + ENGINE_MARGIN_S - 1)
        engine.next_call_ends()
        assert engine.result() == Drained(ended=2, forced=2)


def test_an_engine_without_progress_is_given_up_and_its_last_word_is_told(tmp_path: Path) -> None:
    with slow_engine(tmp_path) as engine:
        engine.begin()
        engine.time_passes(20.0 + ENGINE_MARGIN_S + 1)
        given_up = engine.result()
        assert isinstance(given_up, EngineSilent)
        assert "stuck in Drain: it got no further than 'hanging up', 2 left" in str(given_up)


def overdue_after(watch: ClosingWatch, clock: HandClock, seconds: float) -> bool:
    clock.now_s += seconds
    return watch.is_overdue


def test_the_same_word_again_is_no_progress() -> None:
    clock = HandClock()
    watch = ClosingWatch(clock, 15.0)
    assert watch.hear("hanging up", 3, 20.0)
    for _ in range(35):
        assert not overdue_after(watch, clock, 1.0)
        assert not watch.hear("hanging up", 3, 20.0)
    assert overdue_after(watch, clock, 1.0)
    assert watch.hear("hanging up", 2, 20.0)
    assert not overdue_after(watch, clock, 35.0)


def test_nobody_is_waited_for_who_says_nothing() -> None:
    clock = HandClock()
    watch = ClosingWatch(clock, 15.0)
    assert overdue_after(watch, clock, 16.0)
    assert watch.in_words() == "it reported nothing"
    watch.begin()
    assert not overdue_after(watch, clock, 15.0)


async def test_calls_that_end_one_by_one_are_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts from the last end, so the sum may be much longer than the limit."""
    loop, ahead_s, limit_s = asyncio.get_running_loop(), 0.0, 2 * HANG_LIMIT_S
    real_s = loop.time
    monkeypatch.setattr(loop, "time", lambda: real_s() + ahead_s)
    may_end = [asyncio.Event() for _ in range(4)]
    calls = [asyncio.create_task(one.wait()) for one in may_end]
    finishing = asyncio.create_task(finish_all(calls, limit_s))
    for call, event in zip(calls, may_end, strict=True):
        await asyncio.sleep(0)
        ahead_s += limit_s / 2
        event.set()
        await call
        await asyncio.sleep(0)
    assert await finishing == 0
    assert not any(call.cancelled() for call in calls)


async def test_a_call_that_never_ends_is_cut_off() -> None:
    stuck = asyncio.create_task(asyncio.Event().wait())
    assert await finish_all([stuck], 0.05) == 1
    assert stuck.cancelled()


async def test_a_step_is_told_at_its_begin_and_while_it_lasts() -> None:
    told: list[StillClosing] = []
    left = 3
    async with ClosingReporter(told.append).step("hanging up", 20.0, lambda: left):
        assert told == [StillClosing(step="hanging up", left=3, limit_s=20.0)]
        left = 1
        assert await eventually_async(lambda: len(told) == 2)
    assert told[-1].left == 1


def mad(_said: dict[str, Any]) -> list[dict[str, Any] | str | bytes]:
    """Answers nothing that a client says, but sends garbage for it."""
    return ["{garbage", b"\xff\x00"]


class Listener(Driver):
    """Keeps what the engine tells of its end."""

    closing: list[StillClosing]

    def _on_event(self, event: object) -> None:
        if isinstance(event, StillClosing):
            self.closing = [*getattr(self, "closing", []), event]
        super()._on_event(event)


async def test_a_service_that_sends_garbage_is_blamed_itself_when_the_engine_drains(tmp_path: Path) -> None:
    """It confirms no goodbye: the engine waits out its own limit, says so, and its driver waits for the engine."""
    async with RogueService(reply=mad) as service:
        await asyncio.to_thread(drain_amid_garbage, tmp_path, service)


def drain_amid_garbage(folder: Path, service: RogueService) -> None:
    engine = Listener(folder, "swarm-0", service.url, confirm_limit_s=1.0)
    try:
        engine.sign_in("ann")
        leg = engine.start_call("ann", "bob", talk_s=60.0)
        assert eventually(lambda: any(said["type"] == "call.invite" for said in service.said))
        drained = engine.client.drain(0.0)
        assert (drained.ended, drained.forced) == (1, 1)
        ended = leg()
        assert (ended.outcome, ended.blame) == (Outcome.FAILED, Blame.TARGET)
        assert ended.reason != "engine_stopped"
        (limit_s,) = {told.limit_s for told in engine.closing if told.step == "hanging up"}
        assert limit_s >= hang_up_limit_s(1.0) + GRACE_S, "what it tells is what it does"
    finally:
        engine.close()

"""A call that is over is freed at once: what waits for the garbage collector stops every other call when it comes."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calls_world import PASSWORD, PATIENT, Service
from waiting import HANG_LIMIT_S, PATIENCE, eventually_async

from bedrock.clock import SystemClock
from calls.bridge.messages import AnswerHabit, Configure, PersonSpec, PlaceCall, SignIn, TargetSpec
from calls.engine.engine import Engine
from calls.engine.identity import EngineIdentity
from calls.engine.legs.leg import CallLeg
from calls.media.leg import Leg
from calls.scenarios import SCENARIOS

pytestmark = pytest.mark.integration

TALK_S = 1.5
TOO_LONG = {"multi_device", "busy"}
"""One signs a second device in; the other needs somebody who is in a call."""
NETWORKS = ("", "umts_r99")


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left_over() -> Counter[str]:
    """Counts the parts of calls that are still about, by class."""
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, (CallLeg, Leg)))


def people(caller: str, callee: str, scenario: str, network: str) -> list[PersonSpec]:
    """Those of one call; the one that is called declines unless the scenario says what it does."""
    habit = AnswerHabit(answer_after_s=0.1, decline_ratio=0.0 if scenario == "talk" else 1.0)
    return [PersonSpec(name=name, password=PASSWORD, network=network, answers=habit) for name in (caller, callee)]


async def test_no_leg_of_any_scenario_waits_for_the_garbage_collector(tmp_path: Path, no_collection: None) -> None:
    service = Service(tmp_path / "service", "--no-answer-s", "2")
    engine = Engine(EngineIdentity(tmp_path / "run", "run-1", "swarm-0", "engine"), SystemClock(), lambda _event: None)
    names = [name for name in SCENARIOS if name not in TOO_LONG]
    pairs = [(f"{name}-{network}-a", f"{name}-{network}-b", name, network) for name in names for network in NETWORKS]

    async def say(command: Any) -> Any:
        async with asyncio.timeout(HANG_LIMIT_S):
            return await engine.carry_out(command)

    try:
        service.seed(*(person for pair in pairs for person in pair[:2]))
        target = TargetSpec(kind="reference", url=service.url)
        await say(Configure(target=target, talk_spurts=True, **PATIENT))
        await asyncio.gather(*(say(SignIn(person=person)) for pair in pairs for person in people(*pair)))
        now_s = time.time()
        orders = [
            PlaceCall(caller=caller, callee=callee, intended_at_s=now_s, talk_s=TALK_S, scenario=name)
            for caller, callee, name, _network in pairs
        ]
        placed = asyncio.gather(*map(say, orders))
        await asyncio.sleep(0)
        assert left_over()["CallerLeg"] == len(pairs), "the calls are on"
        outcomes = Counter(type(reply).__name__ for reply in await placed)
        assert outcomes == {"CallFinished": len(pairs)}
        del placed
        async with asyncio.timeout(HANG_LIMIT_S):
            while tasks := set(engine._tasks()):  # of the far sides, and of the dead
                await asyncio.wait(tasks)
            del tasks
            await asyncio.sleep(0)  # their callbacks
        # The loop may still have a turn or two to go. What waits for the collector, which is off, would stay for ever.
        assert await eventually_async(lambda: left_over() == {}, within_s=30.0 * PATIENCE), left_over()
    finally:
        try:
            await engine.close()
        finally:  # also when the end of its time falls into the closing
            service.process.stop()

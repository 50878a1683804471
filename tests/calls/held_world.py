"""People of a real engine in held time: its legs and their media are the real ones, only the service has no wire."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from held_service import HeldTarget
from held_time import HeldAlarm, LoopClock

from calls.bridge.messages import (
    AnswerHabit,
    AnyEvent,
    Configure,
    LegFinished,
    PersonSpec,
    PlaceCall,
    SignedIn,
    SignIn,
    TargetSpec,
)
from calls.engine.engine import Engine
from calls.engine.identity import EngineIdentity
from calls.records.record import LegRecord, Tier


class World:
    """An engine of the running loop, and what it told of the called."""

    def __init__(self, folder: Path, *, way_s: float = 0.0, writer: str = "swarm-0", **configure: Any) -> None:
        self.callee_legs: dict[str, LegRecord] = {}
        self.clock = LoopClock(asyncio.get_running_loop())
        self.engine = Engine(EngineIdentity(folder, "run-1", writer, "engine"), self.clock, self._on_event, HeldAlarm)
        target = TargetSpec(kind="held_service:HeldTarget", url=f"held://service#{way_s}")
        self._configure = Configure(target=target, **{"seed": 7, **configure})

    async def __aenter__(self) -> World:
        await self.engine.carry_out(self._configure)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.close()

    async def sign_in(self, *names: str, tier: Tier = Tier.PACKETS, **habit: float) -> None:
        for name in names:
            person = PersonSpec(name=name, password="x", tier=tier, answers=AnswerHabit(ring_jitter=0.0, **habit))
            await self.engine.carry_out(SignIn(person=person))

    async def sign_in_behind(self, name: str, network: str) -> SignedIn:
        habit = AnswerHabit(ring_jitter=0.0, answer_after_s=0.2)
        signed_in = await self.engine.carry_out(
            SignIn(person=PersonSpec(name=name, password="x", network=network, answers=habit))
        )
        assert isinstance(signed_in, SignedIn)
        return signed_in

    @property
    def service(self) -> HeldTarget:
        assert self.engine._configured is not None
        target = self.engine._configured.target
        assert isinstance(target, HeldTarget)
        return target

    def place(self, caller: str, callee: str, *, ahead_s: float = 0.0, **order: Any) -> asyncio.Task[Any]:
        order = {"talk_s": 2.0, **order}
        command = PlaceCall(caller=caller, callee=callee, intended_at_s=self.clock.unix_s() + ahead_s, **order)
        return asyncio.create_task(self.engine.carry_out(command))

    def _on_event(self, event: AnyEvent) -> None:
        if isinstance(event, LegFinished):
            self.callee_legs[event.leg.call_id] = event.leg


def after_ms(later_s: float | None, earlier_s: float | None) -> float:
    assert later_s is not None
    assert earlier_s is not None
    return (later_s - earlier_s) * 1000

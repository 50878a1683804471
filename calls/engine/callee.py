"""The callee's side of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calls.engine.context import Context
from calls.engine.leg import CallLeg, StepFailed
from calls.engine.leg_record import LegFacts
from calls.record import Side
from calls.state_machine import Action, CallMachine
from calls.targets.protocol import Signal

if TYPE_CHECKING:
    from calls.engine.people import Person


class CalleeLeg(CallLeg):
    """Rings, then does what its person is used to do."""

    def __init__(self, context: Context, person: Person, incoming: Signal) -> None:
        now_s = context.clock.unix_s()
        facts = LegFacts(
            call_id=incoming.call_id,
            side=Side.CALLEE,
            peer=incoming.peer,
            media=incoming.media or "audio",
            scenario=person.spec.scenario,
            intended_at_s=now_s,
            started_at_s=now_s,
        )
        self._offer = incoming.sdp
        super().__init__(context, person, facts, CallMachine(Side.CALLEE, context.limits, context.clock.monotonic_s()))

    async def _begin(self) -> None:
        now_s = self.context.clock.monotonic_s()
        decision, after_s = self.person.decide()
        self.machine.will(decision, now_s + after_s)
        self.facts.ringing_at_s = self.context.clock.unix_s()
        self.person.session.ring(self.facts.call_id)

    async def _pick_up(self) -> Action:
        clock = self.context.clock
        if self.facts.ringing_at_s is not None:
            self.facts.answer_wait_ms = (clock.unix_s() - self.facts.ringing_at_s) * 1000.0
        try:
            media = await self._open_media(self.facts.media)
            sdp = await self._step(media.accept_offer(self._offer), "bad_offer")
            media_now = "audio" if self.person.low_audio else self.facts.media
            self.person.session.answer(self.facts.call_id, media_now, sdp)
            self.facts.answered_at_s = clock.unix_s()
            self.machine.answered(clock.monotonic_s())
            await self._take_early_candidates()
        except StepFailed as failure:
            return self.machine.leave(clock.monotonic_s(), failure.reason, failed=True)
        return Action.NONE

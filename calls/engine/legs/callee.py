"""Runs the callee's side of a call."""

from __future__ import annotations

from calls.call.decisions import Action, Decision
from calls.call.state_machine import CallMachine
from calls.engine.context import Context
from calls.engine.leg_owner import LegOwner
from calls.engine.legs.leg import CallLeg
from calls.engine.legs.leg_media import StepFailed
from calls.engine.records.leg_record import LegFacts
from calls.records.record import Side
from calls.scenarios import mark_of
from calls.targets.protocol import Signal

RACE_JITTER_S = 0.03
"""Two devices that answer at the same time do so within this spread; chance decides which is first."""


class CalleeLeg(CallLeg):
    """Rings, then does what the scenario in the call's id says, else what the person usually does."""

    def __init__(self, context: Context, person: LegOwner, incoming: Signal) -> None:
        now_s = context.clock.unix_s()
        mark = mark_of(incoming.call_id)
        facts = LegFacts(
            call_id=incoming.call_id,
            side=Side.CALLEE,
            peer=incoming.peer,
            media=incoming.media or "audio",
            scenario=mark.scenario.name if mark is not None else person.spec.scenario,
            intended_at_s=now_s,
            started_at_s=now_s,
        )
        self._offer = incoming.sdp
        self._decision, self._after_s = self._decide(context, person, facts.call_id)
        machine = CallMachine(Side.CALLEE, person.limits, context.clock.monotonic_s())
        scenario, talk_s = (mark.scenario, mark.talk_s) if mark is not None else (None, 0.0)
        super().__init__(context, person, facts, machine, scenario, talk_s)

    def schedule_decision(self) -> None:
        """Starts the wait for the person's decision: at once, or when a second device rings too."""
        self.machine.decide_at(self._decision, self.context.clock.monotonic_s() + self._after_s)
        self._wake()

    async def _begin(self) -> None:
        self.facts.ringing_at_s = self.context.clock.unix_s()
        self.person.session.ring(self.facts.call_id)
        if self.person.device:
            return  # the first device decides for both
        if self.scenario is None or not self.person.bring_second_device(self.scenario, self.facts.call_id):
            self.schedule_decision()

    async def _pick_up(self) -> Action:
        clock = self.context.clock
        if self.facts.ringing_at_s is not None:
            self.facts.answer_wait_ms = (clock.unix_s() - self.facts.ringing_at_s) * 1000.0
        try:
            media = await self.media.open(self.facts.media)
            sdp = await self.media.step(media.accept_offer(self._offer), "bad_offer")
            media_now = "audio" if self.person.low_audio else self.facts.media
            self.person.session.answer(self.facts.call_id, media_now, sdp)
            self.facts.answered_at_s = clock.unix_s()
            self.machine.on_answer_sent(clock.monotonic_s())
            await self.media.add_early_candidates()
        except StepFailed as failure:
            return self.machine.leave(clock.monotonic_s(), failure.reason, failed=True)
        return Action.NONE

    @staticmethod
    def _decide(context: Context, person: LegOwner, call_id: str) -> tuple[Decision, float]:
        """Returns what the person does, and after how long. The scenario overrides the habit."""
        decision, after_s = person.decide()
        mark = mark_of(call_id)
        if mark is not None:
            part = mark.scenario.callee
            decision = part.decision or decision
            if part.after_s is not None:
                after_s = part.after_s + context.random_of("race", call_id, person.device).uniform(0.0, RACE_JITTER_S)
        return decision, after_s

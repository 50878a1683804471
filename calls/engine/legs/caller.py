"""The caller's side of a call."""

from __future__ import annotations

import asyncio

from calls.bridge.messages import PlaceCall
from calls.call.call_rules import SHADOWED, CallState, Told
from calls.call.state_machine import Action, CallMachine
from calls.engine.context import Context
from calls.engine.leg_owner import LegOwner
from calls.engine.legs.leg import CallLeg
from calls.engine.legs.leg_events import Event
from calls.engine.legs.leg_media import StepFailed
from calls.engine.records.leg_record import LegFacts
from calls.records.record import Side
from calls.scenarios import SCENARIOS, Act, Scenario
from calls.targets.protocol import Signal

STAYS_S = 20.0
"""How much longer than planned a caller talks at most, for what its scenario has not done yet."""


class CallerLeg(CallLeg):
    """Invites at the intended moment, hangs up when the planned talk is over."""

    def __init__(
        self, context: Context, person: LegOwner, order: PlaceCall, call_id: str, scenario: Scenario | None
    ) -> None:
        facts = LegFacts(
            call_id=call_id,
            side=Side.CALLER,
            peer=order.callee,
            media=order.media,
            scenario=order.scenario,
            intended_at_s=order.intended_at_s,
            started_at_s=order.intended_at_s,
            planned_talk_s=order.talk_s,
        )
        self._shadow = scenario is SCENARIOS["shadow"]
        self._stays_from_s: float | None = None
        machine = CallMachine(
            Side.CALLER, person.limits, context.clock.monotonic_s(), talk_s=order.talk_s, shadow=self._shadow
        )
        super().__init__(context, person, facts, machine, scenario, order.talk_s)
        patience_s = order.patience_s if scenario is None or not scenario.needs_patience else None
        if self.part is not None and self.part.after_s is not None:
            patience_s = self.part.after_s
        if patience_s is not None:
            machine.will_wait(patience_s)

    async def _begin(self) -> None:
        clock, session = self.context.clock, self.person.session
        ahead_s = self.facts.intended_at_s - clock.unix_s()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)
        self.facts.started_at_s = clock.unix_s()
        if not session.is_up:
            self.machine.stop("signaling_lost")
            return
        try:
            media = await self.media.open(self.facts.media)
            sdp = await self.media.step(media.create_offer(), "media_error")
        except StepFailed as failure:
            self.machine.stop(failure.reason)
            return
        self.facts.started_at_s = clock.unix_s()
        self.machine.begin(clock.monotonic_s())
        send = session.shadow if self._shadow else session.invite
        send(self.facts.call_id, self.facts.peer, "audio" if self.person.low_audio else self.facts.media, sdp)

    async def _handle_signal(self, signal: Signal, now_s: float) -> Action:
        crosses = self.scenario is SCENARIOS["cancel_race"] and signal.what is Told.ANSWERED
        if crosses and self.machine.state is CallState.RINGING:
            # The answer came first; to the service a cancel that leaves now is one that crossed it on the way.
            await self._act(self.machine.leave(now_s, ""))
        action = await super()._handle_signal(signal, now_s)
        if self._shadow and signal.what is Told.ENDED and signal.code == SHADOWED:
            self.facts.routed_at_s = self.context.clock.unix_s()
        return action

    async def _on_progress(self, signal: Signal, was: CallState) -> None:
        now_s = self.context.clock.unix_s()
        if signal.what is Told.RINGING and self.facts.ringing_at_s is None:
            self.facts.ringing_at_s = now_s
        elif signal.what is Told.ANSWERED and was is not self.machine.state and self.media.leg is not None:
            self.facts.answered_at_s = now_s
            if self.facts.media == "video" and signal.media == "audio":
                self.media.note_peer_media("audio")
            await self.media.step(self.media.leg.accept_answer(signal.sdp), "bad_answer")
            await self.media.take_early_candidates()

    async def _handle(self, event: Event) -> Action:
        action = await super()._handle(event)
        if self._stays_from_s is not None:
            self.machine.talk_until(self._stays_until_s())
        return action

    def _stays(self, now_s: float) -> bool:
        """Nobody hangs up in the middle of something: on a slow link the last act may not be settled yet."""
        if self.scenario is None or not self.scenario.acts:
            return False
        if self._stays_from_s is None:
            self._stays_from_s = now_s
        until_s = self._stays_until_s()
        self.machine.talk_until(until_s)
        return until_s > now_s

    def _stays_until_s(self) -> float:
        assert self.scenario is not None
        assert self._stays_from_s is not None
        moves = sum(
            step.act is Act.MOVE for part in (self.scenario.caller, self.scenario.callee) for step in part.steps
        )
        is_done = self.script.is_complete and self.facts.ice_restarts >= moves and not self.media.is_moving
        if not is_done:
            return self._stays_from_s + STAYS_S
        # What the far side does without a word to us began as much later as it heard us later, and is answered later.
        live = self.media.live()
        rtt_ms = max(self.person.session.rtt_ms or 0.0, (live.rtt_ms or 0.0) if live is not None else 0.0)
        return self._stays_from_s + (2 * rtt_ms / 1000.0 if self.scenario.callee.steps else 0.0)

    async def _pick_up(self) -> Action:
        return Action.NONE

"""Runs the caller's side of a call."""

from __future__ import annotations

import asyncio

from calls.bridge.messages import PlaceCall
from calls.call.call_rules import SHADOWED, CallState, SignalType
from calls.call.decisions import Action
from calls.call.state_machine import CallMachine
from calls.engine.context import Context
from calls.engine.leg_owner import LegOwner
from calls.engine.legs.leg import CallLeg
from calls.engine.legs.leg_events import Event
from calls.engine.legs.leg_media import StepFailed
from calls.engine.records.leg_record import LegFacts
from calls.records.record import Side
from calls.scenarios import SCENARIOS, Scenario, ScenarioAction
from calls.targets.protocol import Signal

TALK_EXTENSION_S = 20.0
"""How much longer than planned a caller talks at most, while its scenario is not complete."""


class CallerLeg(CallLeg):
    """Invites at the intended moment and hangs up when the planned talk is over."""

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
        self._extended_from_s: float | None = None
        machine = CallMachine(
            Side.CALLER, person.limits, context.clock.monotonic_s(), talk_s=order.talk_s, shadow=self._shadow
        )
        super().__init__(context, person, facts, machine, scenario, order.talk_s)
        patience_s = order.patience_s if scenario is None or not scenario.needs_patience else None
        if self.part is not None and self.part.after_s is not None:
            patience_s = self.part.after_s
        if patience_s is not None:
            machine.cancel_after(patience_s)

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
        self.machine.start_setup(clock.monotonic_s())
        send = session.shadow if self._shadow else session.invite
        send(self.facts.call_id, self.facts.peer, "audio" if self.person.low_audio else self.facts.media, sdp)

    async def _handle_signal(self, signal: Signal, now_s: float) -> Action:
        crosses = self.scenario is SCENARIOS["cancel_race"] and signal.what is SignalType.ANSWERED
        if crosses and self.machine.state is CallState.RINGING:
            # The answer arrived first. A cancel that leaves now crosses it, as the service sees it.
            await self._act(self.machine.leave(now_s, ""))
        action = await super()._handle_signal(signal, now_s)
        if self._shadow and signal.what is SignalType.ENDED and signal.code == SHADOWED:
            self.facts.routed_at_s = self.context.clock.unix_s()
        return action

    async def _on_progress(self, signal: Signal, was: CallState) -> None:
        now_s = self.context.clock.unix_s()
        if signal.what is SignalType.RINGING and self.facts.ringing_at_s is None:
            self.facts.ringing_at_s = now_s
        elif signal.what is SignalType.ANSWERED and was is not self.machine.state and self.media.leg is not None:
            self.facts.answered_at_s = now_s
            if self.facts.media == "video" and signal.media == "audio":
                self.media.note_peer_media("audio")
            await self.media.step(self.media.leg.accept_answer(signal.sdp), "bad_answer")
            await self.media.add_early_candidates()

    async def _handle(self, event: Event) -> Action:
        action = await super()._handle(event)
        if self._extended_from_s is not None:
            self.machine.end_talk_at(self._extended_until_s())
        return action

    def _extends_talk(self, now_s: float) -> bool:
        """Extends the talk while the last action is not complete, as may happen on a slow link."""
        if self.scenario is None or not self.scenario.actions:
            return False
        if self._extended_from_s is None:
            self._extended_from_s = now_s
        until_s = self._extended_until_s()
        self.machine.end_talk_at(until_s)
        return until_s > now_s

    def _extended_until_s(self) -> float:
        assert self.scenario is not None
        assert self._extended_from_s is not None
        moves = sum(
            step.action is ScenarioAction.MOVE
            for part in (self.scenario.caller, self.scenario.callee)
            for step in part.steps
        )
        is_done = self.script.is_complete and self.facts.ice_restarts >= moves and not self.media.is_moving
        if not is_done:
            return self._extended_from_s + TALK_EXTENSION_S
        # The far side started its silent actions one delay later, and its answers take one delay back.
        live = self.media.live()
        rtt_ms = max(self.person.session.rtt_ms or 0.0, (live.rtt_ms or 0.0) if live is not None else 0.0)
        return self._extended_from_s + (2 * rtt_ms / 1000.0 if self.scenario.callee.steps else 0.0)

    async def _pick_up(self) -> Action:
        return Action.NONE

"""Runs one side of one call, from its first message to its row: a task that waits for events and deadlines.

All events go through one inbox in order of arrival: signals, media milestones, orders to leave. Every wait ends at the
absolute deadline of the state machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from calls.call.call_rules import CallState, SignalType
from calls.call.decisions import Action
from calls.call.state_machine import CallMachine
from calls.engine.context import Context
from calls.engine.leg_owner import LegOwner
from calls.engine.legs.leg_events import Change, Event, Leave, Milestone, ReduceBitrate, Resuming, Stop, Wake
from calls.engine.legs.leg_media import LOW_AUDIO_KBIT, LegMedia, StepFailed
from calls.engine.records.leg_record import LegFacts, evidence_of, leg_record, window_rows
from calls.engine.scripts.scenario_actions import ACTIONS, DEAD_S, reoffer
from calls.engine.scripts.script import ActionOrder, Script
from calls.media.interface import LiveStats, MediaEvent, MediaStats
from calls.records.record import LegRecord, Side, Stage
from calls.scenarios import Part, Scenario, ScenarioAction
from calls.targets.protocol import Signal

logger = logging.getLogger(__name__)

_STAGES = {
    MediaEvent.ICE: Stage.ICE,
    MediaEvent.DTLS: Stage.DTLS,
    MediaEvent.FIRST_AUDIO: Stage.MEDIA_BOTH_WAYS,
}
POOR_RTT_MS = 500.0
SLOW_SECONDS = 2
"""Seconds in a row with a round trip over ``POOR_RTT_MS``: a single bad report does not count."""


class CallLeg:
    """What both sides share. Call ``run`` once."""

    def __init__(
        self,
        context: Context,
        person: LegOwner,
        facts: LegFacts,
        machine: CallMachine,
        scenario: Scenario | None,
        talk_s: float,
    ) -> None:
        self.context = context
        self.person = person
        self.facts = facts
        self.machine = machine
        facts.link_unreliable = person.link_unreliable
        # What we create gets our inbox and not us. A reference cycle would wait for the garbage collector, which stops
        # all other calls of this engine while it runs.
        inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._inbox = inbox
        self.media = LegMedia(
            context, person, facts, scenario, lambda event, at_s: inbox.put_nowait(Milestone(event, at_s))
        )
        self.stats: MediaStats | None = None
        self.scenario = scenario
        self.part = _part_for_side(scenario, facts.side)
        self.script = Script(self.part.steps if self.part else (), talk_s, inbox.put_nowait)
        self._slow_seconds = 0
        self._postponed: list[Change] = []
        """Changes that wait until the open offer is answered, or until a move is complete."""
        self._drops_before = person.link_drops()
        person.reset_link_delay()
        if scenario is not None and _dies(scenario, facts.side.other):
            machine.expect_peer_death()

    # Events from outside.

    def on_signal(self, signal: Signal) -> None:
        """Takes a message of the service about this call."""
        self._inbox.put_nowait(signal)

    def leave(self, reason: str, *, failed: bool = False) -> None:
        """Ends the call now, with a hang-up, cancel or decline."""
        self._inbox.put_nowait(Leave(reason, failed))

    def stop(self, reason: str) -> None:
        """Ends the call without another message."""
        self._inbox.put_nowait(Stop(reason))

    def on_resuming(self) -> None:
        """Notes that the person's connection was lost and is back."""
        self._inbox.put_nowait(Resuming())

    def on_garbage(self) -> None:
        """Notes that the service sent this person something that is not a valid message."""
        self.machine.record_violation("garbage")

    def live(self) -> LiveStats | None:
        """Returns the media's current figures; None before there is media."""
        return self.media.live()

    def check_silence(self, live: LiveStats) -> None:
        """Leaves a call that has been silent for longer than a person would wait."""
        age_ms = live.last_packet_age_ms
        limit_ms = self.context.configure.silence_limit_s * 1000.0
        if self.machine.state is CallState.TALKING and age_ms is not None and age_ms > limit_ms:
            self.leave("audio_died", failed=True)

    def check_round_trip(self, live: LiveStats) -> None:
        """Lowers the bitrate when the round trip grows, as the product does: a growing queue shows there first.

        Packet loss does not count: where congestion is not the cause, a lower bitrate loses as many packets.
        """
        slow = (live.rtt_ms or 0.0) > POOR_RTT_MS and self.machine.state is CallState.TALKING
        self._slow_seconds = self._slow_seconds + 1 if slow else 0
        asks_already = live.asked_audio_kbit is not None and live.asked_audio_kbit <= LOW_AUDIO_KBIT
        degrades = self.person.session.policy.degradation and not self.media.low_audio and not asks_already
        # In the matrix the browser decides: it is the product under test.
        if self._slow_seconds >= SLOW_SECONDS and degrades and self.context.identity.peers_are_ours:
            self._slow_seconds = 0
            self._inbox.put_nowait(ReduceBitrate())

    # From the first message to the row.

    async def run(self) -> LegRecord:
        """Runs the call and returns its row, which is also queued for writing. Never raises."""
        try:
            await self._begin()
            await self._handle_events()
            if self.machine.died:
                self.facts.ended_at_s = self.context.clock.unix_s()
                await asyncio.sleep(DEAD_S)
        except asyncio.CancelledError:
            self._cut_off("engine_stopped")
        except Exception:
            logger.exception("%s: a fault of our own", self.facts.call_id)
            self._cut_off("media_error")
        record = await self._finish()
        self.context.recorder.calls.append(record)
        return record

    async def _begin(self) -> None:
        raise NotImplementedError

    async def _pick_up(self) -> Action:
        raise NotImplementedError

    async def _handle_events(self) -> None:
        clock, machine = self.context.clock, self.machine
        while machine.state is not CallState.ENDED:
            try:
                async with asyncio.timeout(max(0.0, machine.deadline_s - clock.monotonic_s())):
                    event = await self._inbox.get()
            except TimeoutError:
                if clock.monotonic_s() < machine.deadline_s:
                    continue  # the loop's clock has a resolution of 1 ms
                if machine.is_planned_talk_over(clock.monotonic_s()) and self._extends_talk(clock.monotonic_s()):
                    continue
                action = machine.on_deadline(clock.monotonic_s())
            else:
                action = await self._handle(event)
            await self._act(action)

    def _extends_talk(self, now_s: float) -> bool:
        """Called when the planned talk is over; returns whether this side goes on, to a later end."""
        return False

    async def _handle(self, event: Event) -> Action:
        now_s = self.context.clock.monotonic_s()
        match event:
            case Signal():
                return await self._handle_signal(event, now_s)
            case Milestone():
                return self._on_milestone(event.event, now_s)
            case ActionOrder() | ReduceBitrate():
                return await self._change(event, now_s)
            case Leave():
                return self.machine.leave(now_s, event.reason, failed=event.failed)
            case Stop():
                return self.machine.stop(event.reason)
            case Resuming():
                self.machine.expect_reply(SignalType.RESUMED, now_s)
                if self.machine.state is CallState.RINGING:
                    self.machine.allow_repeated_invitation()
        return Action.NONE

    def _on_milestone(self, event: MediaEvent, now_s: float) -> Action:
        if event is MediaEvent.FAILED:
            failure = self.media.leg.failure if self.media.leg is not None else "media_error"
            return self.machine.leave(now_s, failure, failed=True)
        if event is MediaEvent.RESTARTED:
            self.facts.ice_restarts += 1
            return Action.NONE
        if event is MediaEvent.HEARD_AGAIN:
            self.script.settle(event)
            self._resubmit_postponed()
            return Action.NONE
        action = self.machine.on_media(_STAGES[event], now_s)
        if self.machine.state is CallState.TALKING:
            self.script.begin()
        return action

    async def _handle_signal(self, signal: Signal, now_s: float) -> Action:
        was, awaited = self.machine.state, self.machine.awaits(signal.what)
        action = self.machine.on_signal(signal.what, now_s, signal.code)
        if action is not Action.NONE:
            return action
        try:
            if signal.what is SignalType.CANDIDATE:
                await self.media.add_candidate(signal)
            elif signal.what is SignalType.REOFFER and was in {CallState.CONNECTING, CallState.TALKING}:
                await self._answer_reoffer(signal)
            elif signal.what is SignalType.REANSWER and awaited:
                await self.media.apply_reanswer(signal)
                self.script.settle(SignalType.REANSWER)
                self._resubmit_postponed()
            elif signal.what is SignalType.RESUMED and awaited:
                self.facts.reconnects += 1
                self.script.settle(SignalType.RESUMED)
            elif signal.what is SignalType.MEDIA:
                self.media.apply_peer_media(signal)
            else:
                await self._on_progress(signal, was)
        except StepFailed as failure:
            return self.machine.leave(self.context.clock.monotonic_s(), failure.reason, failed=True)
        return Action.NONE

    async def _on_progress(self, signal: Signal, was: CallState) -> None:
        """Reacts to a message that the state machine accepted."""

    async def _act(self, action: Action) -> None:
        session, call_id = self.person.session, self.facts.call_id
        if action is Action.ANSWER:
            await self._act(await self._pick_up())
            return
        if action in {Action.HANG_UP, Action.STOP} and self.facts.talk_end_at_s is None:
            self.facts.talk_end_at_s = self.context.clock.unix_s()
            self.media.end_talk()
        if action is Action.HANG_UP:
            session.hang_up(call_id)
        elif action is Action.CANCEL:
            session.cancel(call_id)
        elif action is Action.DECLINE:
            session.decline(call_id)

    # The scenario.

    def _wake(self) -> None:
        """Wakes the loop, because the state machine's deadline changed from outside."""
        self._inbox.put_nowait(Wake())

    async def _change(self, order: Change, now_s: float) -> Action:
        """Changes the running call. A change waits for the answer to the one before, a move for the end of a move."""
        if self.machine.state is not CallState.TALKING:
            return Action.NONE
        moves = isinstance(order, ActionOrder) and order.action is ScenarioAction.MOVE
        if self.machine.awaits(SignalType.REANSWER) or (moves and self.media.is_moving):
            self._postponed.append(order)
            return Action.NONE
        try:
            if isinstance(order, ActionOrder):
                self.script.performed(order, await ACTIONS[order.action](self))
            elif self.media.reduce_bitrate():
                await reoffer(self, "network")
        except StepFailed as failure:
            return self.machine.leave(now_s, failure.reason, failed=True)
        return Action.STOP if self.machine.died else Action.NONE

    def _resubmit_postponed(self) -> None:
        postponed, self._postponed = self._postponed, []
        for order in postponed:
            self._inbox.put_nowait(order)

    async def _answer_reoffer(self, signal: Signal) -> None:
        gives_way = self.machine.awaits(SignalType.REANSWER)
        if gives_way and self.facts.side is Side.CALLER:
            return  # both offered at once: the caller's offer stands and is answered
        if gives_way:
            self.machine.withdraw(SignalType.REANSWER)
        await self.media.answer_reoffer(signal, gives_way=gives_way)
        if gives_way:
            self.script.again()
            self._resubmit_postponed()

    # The end.

    def _cut_off(self, reason: str) -> None:
        """Ends a call for a reason of our own, and tells the far end so that it need not wait for a timeout."""
        if self.machine.state is not CallState.ENDED:
            self.machine.stop(reason)
            if self.person.session.is_up:
                self.person.session.hang_up(self.facts.call_id)

    async def _finish(self) -> LegRecord:
        await self.script.end()
        self.facts.ended_at_s = self.facts.ended_at_s or self.context.clock.unix_s()
        self.stats = await self.media.close()
        if self.stats is not None:
            self.facts.link_unreliable |= self.stats.peer_link_unreliable
            if self.stats.heard is not None:
                self.context.probes.submit(self.facts.call_id, self.facts.side, self.facts.ended_at_s, self.stats.heard)
        drops = Counter(self.person.link_drops())
        drops.subtract(self._drops_before)
        evidence = evidence_of(
            self.stats, drops, self.person.link_max_delay_ms(), peer_is_ours=self.context.identity.peers_are_ours
        )
        ending = self.machine.ending(evidence)
        self.facts.findings = ",".join(dict.fromkeys(self.machine.violations))
        if self.part is not None:
            self.facts.expected = self.part.expected
            self.facts.script_completed = self.script.is_complete
        if self.machine.violations:
            logger.warning("%s: findings against the target: %s", self.facts.call_id, self.machine.violations)
        record = leg_record(
            self.context.identity, self.person.spec, self.person.generation, self.facts, ending, evidence, self.stats
        )
        if self.stats is not None:
            for row in window_rows(record, self.facts, self.stats):
                self.context.recorder.windows.append(row)
        return record


def _part_for_side(scenario: Scenario | None, side: Side) -> Part | None:
    if scenario is None:
        return None
    return scenario.caller if side is Side.CALLER else scenario.callee


def _dies(scenario: Scenario, side: Side) -> bool:
    part = _part_for_side(scenario, side)
    return part is not None and any(step.action is ScenarioAction.DIE for step in part.steps)

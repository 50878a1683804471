"""One side of one call, from its first message to its row: a task that sleeps until something happens or is overdue.

Everything that happens goes through one inbox in the order it came: signals, media milestones, orders to leave. Every
wait ends at the state machine's absolute deadline.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from calls.engine.acts import ACTS, DEAD_S, Wants, reoffer
from calls.engine.context import Context
from calls.engine.leg_record import LegFacts, evidence_of, leg_record, window_rows
from calls.engine.script import Do, Script
from calls.media.errors import BadDescription, MediaError
from calls.media.interface import LegSpec, LiveStats, MediaEvent, MediaLeg, MediaStats
from calls.record import LegRecord, Side, Stage
from calls.scenarios import Act, Part, Scenario
from calls.state_machine import Action, CallMachine, CallState, Told
from calls.targets.protocol import Signal

if TYPE_CHECKING:
    from calls.engine.people import Person

logger = logging.getLogger(__name__)

_STAGES = {
    MediaEvent.ICE: Stage.ICE,
    MediaEvent.DTLS: Stage.DTLS,
    MediaEvent.FIRST_AUDIO: Stage.MEDIA_BOTH_WAYS,
}
_MEDIA_STEP_S = 10.0
"""Making a description takes milliseconds; a step that takes so long is stuck."""
AUDIO_KBIT, AUDIO_PTIME_MS = 24, 20
LOW_AUDIO_KBIT, LOW_AUDIO_PTIME_MS = 12, 60
POOR_RTT_MS = 500.0
SLOW_SECONDS = 2
"""A round trip beyond ``POOR_RTT_MS`` for so many seconds in a row is no single bad report."""
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class _Milestone:
    event: MediaEvent
    at_s: float


@dataclass(frozen=True, slots=True)
class _Leave:
    reason: str
    failed: bool


@dataclass(frozen=True, slots=True)
class _Stop:
    reason: str


@dataclass(frozen=True, slots=True)
class _Resuming:
    """The session came back and asked the service to go on with the call."""


@dataclass(frozen=True, slots=True)
class _Wake:
    """Nothing happened; the deadline is another now."""


@dataclass(frozen=True, slots=True)
class _StepDown:
    """The round trip says that the network is too narrow for what the call asks of it."""


_Event = _StepDown | _Wake | Signal | _Milestone | _Leave | _Stop | _Resuming | Do


class StepFailed(Exception):
    """A step of the media failed; carries the reason code for the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CallLeg:
    """The part that both sides share. ``run`` is called once."""

    def __init__(
        self,
        context: Context,
        person: Person,
        facts: LegFacts,
        machine: CallMachine,
        scenario: Scenario | None,
        talk_s: float,
    ) -> None:
        self.context = context
        self.person = person
        self.facts = facts
        self.machine = machine
        self.media: MediaLeg | None = None
        self.stats: MediaStats | None = None
        self.peer_media = ""
        self.scenario = scenario
        self.part = _part_of(scenario, facts.side)
        self.wants = Wants(video=facts.media == "video" and not person.low_audio)
        self.script = Script(self.part.steps if self.part else (), talk_s, self._put)
        self.low_audio = person.low_audio
        """This side asks for and sends a low bitrate in long frames: from the start, or since it stepped down."""
        self._slow_seconds = 0
        self._postponed: list[Do | _StepDown] = []
        """Changes that wait until an open offer is answered: there is one at a time."""
        self._held_since_s: float | None = None
        self._muted_since_s: float | None = None
        self._asks_kbit = 0
        self._inbox: asyncio.Queue[_Event] = asyncio.Queue()
        self._early_candidates: list[Signal] = []
        self._drops_before = person.link_drops()
        if scenario is not None and _dies(scenario, facts.side.other):
            machine.will_lose_peer()

    # What the outside tells.

    def on_signal(self, signal: Signal) -> None:
        """A message of the service about this call."""
        self._inbox.put_nowait(signal)

    def leave(self, reason: str, *, failed: bool = False) -> None:
        """The person ends the call now."""
        self._inbox.put_nowait(_Leave(reason, failed))

    def stop(self, reason: str) -> None:
        """The call is over without another word."""
        self._inbox.put_nowait(_Stop(reason))

    def on_resuming(self) -> None:
        """The person's connection was lost and stands again."""
        self._inbox.put_nowait(_Resuming())

    def on_garbage(self) -> None:
        """The service sent this person something that is no message."""
        self.machine.finds("garbage")

    def live(self) -> LiveStats | None:
        """Returns the media's figures of this moment; None before there is media."""
        return self.media.live() if self.media is not None else None

    def audio_target_kbit(self, live: LiveStats) -> float:
        """Returns the rate that the far end encodes for: what we ask for, or less when it is poor itself."""
        return min(self._asks_kbit, live.asked_audio_kbit or self._asks_kbit)

    def check_silence(self, live: LiveStats) -> None:
        """Leaves a call that has gone silent for longer than a person waits."""
        age_ms = live.last_packet_age_ms
        limit_ms = self.context.configure.silence_limit_s * 1000.0
        if self.machine.state is CallState.TALKING and age_ms is not None and age_ms > limit_ms:
            self.leave("audio_died", failed=True)

    def check_network(self, live: LiveStats) -> None:
        """Asks for less before the call suffers, as the product does: a queue that builds up shows in the round trip.

        Loss is no reason: where it is not congestion, fewer bits lose as many packets.
        """
        slow = (live.rtt_ms or 0.0) > POOR_RTT_MS and self.machine.state is CallState.TALKING
        self._slow_seconds = self._slow_seconds + 1 if slow else 0
        asks_already = live.asked_audio_kbit is not None and live.asked_audio_kbit <= LOW_AUDIO_KBIT
        degrades = self.person.session.policy.degradation and not self.low_audio and not asks_already
        # In the matrix the browser decides: it is the product there.
        if self._slow_seconds >= SLOW_SECONDS and degrades and self.context.identity.peers_are_ours:
            self._slow_seconds = 0
            self._inbox.put_nowait(_StepDown())

    # The life of the call.

    async def run(self) -> LegRecord:
        """Returns the row, whatever happens; it is also on its way to disk."""
        try:
            await self._begin()
            await self._go_on()
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

    async def _go_on(self) -> None:
        clock, machine = self.context.clock, self.machine
        while machine.state is not CallState.ENDED:
            try:
                async with asyncio.timeout(max(0.0, machine.deadline_s - clock.monotonic_s())):
                    event = await self._inbox.get()
            except TimeoutError:
                if clock.monotonic_s() < machine.deadline_s:
                    continue  # the loop's clock counts whole milliseconds
                action = machine.overdue(clock.monotonic_s())
            else:
                action = await self._handle(event)
            await self._act(action)

    async def _handle(self, event: _Event) -> Action:
        now_s = self.context.clock.monotonic_s()
        match event:
            case Signal():
                return await self._handle_signal(event, now_s)
            case _Milestone():
                return self._take_milestone(event.event, now_s)
            case Do() | _StepDown():
                return await self._change(event, now_s)
            case _Leave():
                return self.machine.leave(now_s, event.reason, failed=event.failed)
            case _Stop():
                return self.machine.stop(event.reason)
            case _Resuming():
                self.machine.asked(Told.RESUMED, now_s)
                if self.machine.state is CallState.RINGING:
                    self.machine.may_hear_again()
        return Action.NONE

    def _take_milestone(self, event: MediaEvent, now_s: float) -> Action:
        if event is MediaEvent.FAILED:
            return self.machine.leave(now_s, self.media.failure if self.media else "media_error", failed=True)
        if event is MediaEvent.RESTARTED:
            self.facts.ice_restarts += 1
            self.script.settle(event)
            return Action.NONE
        action = self.machine.media(_STAGES[event], now_s)
        if self.machine.state is CallState.TALKING:
            self.script.begin()
        return action

    async def _handle_signal(self, signal: Signal, now_s: float) -> Action:
        was, awaited = self.machine.state, self.machine.awaits(signal.what)
        action = self.machine.told(signal.what, now_s, signal.code)
        if action is not Action.NONE:
            return action
        try:
            if signal.what is Told.CANDIDATE:
                await self._take_candidate(signal)
            elif signal.what is Told.REOFFER and was in {CallState.CONNECTING, CallState.TALKING}:
                await self._take_reoffer(signal)
            elif signal.what is Told.REANSWER and awaited:
                await self._take_reanswer(signal)
            elif signal.what is Told.RESUMED and awaited:
                self.facts.reconnects += 1
                self.script.settle(Told.RESUMED)
            elif signal.what is Told.MEDIA:
                self._obey(signal)
            else:
                await self._on_progress(signal, was)
        except StepFailed as failure:
            return self.machine.leave(self.context.clock.monotonic_s(), failure.reason, failed=True)
        return Action.NONE

    async def _on_progress(self, signal: Signal, was: CallState) -> None:
        """A side's own reaction to a message that the machine took."""

    async def _act(self, action: Action) -> None:
        session, call_id = self.person.session, self.facts.call_id
        if action is Action.ANSWER:
            await self._act(await self._pick_up())
            return
        if action in {Action.HANG_UP, Action.STOP} and self.facts.talk_end_at_s is None:
            self.facts.talk_end_at_s = self.context.clock.unix_s()
            if self.media is not None:
                self.media.end_talk()
        if action is Action.HANG_UP:
            session.hang_up(call_id)
        elif action is Action.CANCEL:
            session.cancel(call_id)
        elif action is Action.DECLINE:
            session.decline(call_id)

    # The scenario.

    def mute(self, *, on: bool) -> None:
        """Silences this side's person, or lets them speak again."""
        now_s = self.context.clock.monotonic_s()
        if self.media is not None:
            self.media.set_muted(on)
        if self._muted_since_s is not None:
            self.facts.muted_s += now_s - self._muted_since_s
        self._muted_since_s = now_s if on else None

    def _wake(self) -> None:
        """The machine's deadline has changed from outside the loop."""
        self._inbox.put_nowait(_Wake())

    def _put(self, order: Do) -> None:
        self._inbox.put_nowait(order)

    async def _change(self, order: Do | _StepDown, now_s: float) -> Action:
        """Changes the running call; one change waits for the answer to the one before."""
        if self.machine.state is not CallState.TALKING:
            return Action.NONE
        if self.machine.awaits(Told.REANSWER):
            self._postponed.append(order)
            return Action.NONE
        try:
            if isinstance(order, Do):
                self.script.performed(order, await ACTS[order.act](self))
            else:
                await self._step_down()
        except StepFailed as failure:
            return self.machine.leave(now_s, failure.reason, failed=True)
        return Action.STOP if self.machine.died else Action.NONE

    async def _step_down(self) -> None:
        """Asks for less, and sends less itself; tells the far end by an offer inside the call. Raises StepFailed."""
        if self.low_audio or self.media is None:
            return
        self.low_audio, self.wants.video = True, False
        self._asks_kbit = LOW_AUDIO_KBIT
        self.media.ask_for(LOW_AUDIO_KBIT, LOW_AUDIO_PTIME_MS)
        self.facts.fall_back("low_audio", self.context.clock.unix_s())
        self.person.session.want_media(self.facts.call_id, "low_audio", "slow network")
        self.media.set_video_sending(False)
        await reoffer(self, "network")

    def _do_postponed(self) -> None:
        postponed, self._postponed = self._postponed, []
        for order in postponed:
            self._inbox.put_nowait(order)

    def _note_hold(self) -> None:
        now_s = self.context.clock.monotonic_s()
        if self._held_since_s is not None:
            self.facts.held_s += now_s - self._held_since_s
        self._held_since_s = now_s if self.media is not None and self.media.on_hold else None

    # Media.

    async def _open_media(self, media: str) -> MediaLeg:
        """Returns the new leg. Raises StepFailed."""
        spec, low = self.person.spec, self.person.low_audio
        order = LegSpec(
            tier=spec.tier,
            media="audio" if low else media,
            bind_address=spec.media_address,
            access_link=self.person.link,
            audio_kbit=LOW_AUDIO_KBIT if low else AUDIO_KBIT,
            ptime_ms=LOW_AUDIO_PTIME_MS if low else AUDIO_PTIME_MS,
            seed=self.context.random_of("media", self.facts.call_id, self.facts.side).getrandbits(32),
            talk_spurts=self.context.configure.talk_spurts,
            call_id=self.facts.call_id,
            is_caller=self.facts.side is Side.CALLER,
        )
        self._asks_kbit = order.audio_kbit
        if low:
            self.facts.fall_back("low_audio", self.context.clock.unix_s())
        self.media = await self.step(self.context.media.open_leg(order, self._on_media), "bind_failed")
        return self.media

    async def step(self, work: Awaitable[ResultT], reason: str) -> ResultT:
        """Returns what ``work`` returns. Raises StepFailed: ``reason`` for a bad description, else a fault of ours."""
        try:
            async with asyncio.timeout(_MEDIA_STEP_S):
                return await work
        except BadDescription as error:
            logger.warning("%s: %s: %s", self.facts.call_id, reason, error)
            raise StepFailed(reason) from None
        except (MediaError, TimeoutError, OSError) as error:
            logger.warning("%s: media: %s", self.facts.call_id, error)
            raise StepFailed(reason if reason == "bind_failed" else "media_error") from None

    def _on_media(self, event: MediaEvent, at_s: float) -> None:
        self._inbox.put_nowait(_Milestone(event, at_s))

    async def _take_candidate(self, signal: Signal) -> None:
        if self.media is None or self.facts.answered_at_s is None:
            self._early_candidates.append(signal)
        else:
            await self._add_candidate(signal)

    async def _take_early_candidates(self) -> None:
        early, self._early_candidates = self._early_candidates, []
        for signal in early:
            await self._add_candidate(signal)

    async def _add_candidate(self, signal: Signal) -> None:
        if self.media is not None:
            candidate = dict(signal.candidate) if signal.candidate is not None else None
            await self.step(self.media.add_candidate(candidate), "bad_candidate")

    async def _take_reoffer(self, signal: Signal) -> None:
        if self.media is None:
            return
        gives_way = self.machine.awaits(Told.REANSWER)
        if gives_way and self.facts.side is Side.CALLER:
            return  # both offered at once: the caller's stands, and is answered
        if gives_way:
            self.media.take_back_offer()
            self.machine.takes_back(Told.REANSWER)
        sdp = await self.step(self.media.reaccept_offer(signal.sdp), "bad_reoffer")
        self._note_hold()
        self._note_peer_media(signal.media)
        session, call_id = self.person.session, self.facts.call_id
        session.reanswer(call_id, self.media.live().media, sdp)
        if signal.media == "video" and self.low_audio:
            self.media.set_video_sending(False)
            session.want_media(call_id, "low_audio", "poor network")
        if gives_way:
            self.script.again()
            self._do_postponed()

    async def _take_reanswer(self, signal: Signal) -> None:
        if self.media is not None:
            await self.step(self.media.accept_reanswer(signal.sdp), "bad_reanswer")
            self._note_hold()
            self._note_peer_media(signal.media)
            self.script.settle(Told.REANSWER)
            self._do_postponed()

    def _obey(self, signal: Signal) -> None:
        """The far end said what it sends and wants from now on."""
        self._note_peer_media(signal.media)
        if self.media is not None and not self.low_audio:
            self.media.set_video_sending(signal.media == "video")

    def _note_peer_media(self, media: str) -> None:
        self.peer_media = media
        less_than_asked = media == "low_audio" or (media == "audio" and self.facts.media == "video")
        if less_than_asked and self.facts.fell_back_to != "low_audio":
            self.facts.fall_back(media, self.context.clock.unix_s())

    # The end.

    def _cut_off(self, reason: str) -> None:
        """Ends a call for a reason of our own; the far end is told, so that it need not wait for a timeout."""
        if self.machine.state is not CallState.ENDED:
            self.machine.stop(reason)
            if self.person.session.is_up:
                self.person.session.hang_up(self.facts.call_id)

    async def _finish(self) -> LegRecord:
        await self.script.end()
        self.facts.ended_at_s = self.facts.ended_at_s or self.context.clock.unix_s()
        self._note_hold()
        self.mute(on=False)
        if self.media is not None:
            self.facts.audio_target_kbit = self.audio_target_kbit(self.media.live())
            self.stats = await self.media.close()
            if self.stats.heard is not None:
                self.context.probes.submit(self.facts.call_id, self.facts.side, self.facts.ended_at_s, self.stats.heard)
        drops = Counter(self.person.link_drops())
        drops.subtract(self._drops_before)
        evidence = evidence_of(self.stats, drops, peer_is_ours=self.context.identity.peers_are_ours)
        ending = self.machine.settle(evidence)
        self.facts.findings = ",".join(dict.fromkeys(self.machine.findings))
        if self.part is not None:
            self.facts.expected = self.part.expected
            self.facts.did_its_part = self.script.is_complete
        if self.machine.findings:
            logger.warning("%s: findings against the target: %s", self.facts.call_id, self.machine.findings)
        record = leg_record(
            self.context.identity, self.person.spec, self.person.generation, self.facts, ending, evidence, self.stats
        )
        if self.stats is not None:
            for row in window_rows(record, self.facts, self.stats):
                self.context.recorder.windows.append(row)
        return record


def _part_of(scenario: Scenario | None, side: Side) -> Part | None:
    if scenario is None:
        return None
    return scenario.caller if side is Side.CALLER else scenario.callee


def _dies(scenario: Scenario, side: Side) -> bool:
    part = _part_of(scenario, side)
    return part is not None and any(step.act is Act.DIE for step in part.steps)

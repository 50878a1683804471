"""Keeps the people who are signed in at this engine: session, access link, habits and current calls."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Iterable, Mapping

import msgspec

from bedrock.errors import RingfenceError
from bedrock.toml_input import nearest
from calls.bridge.messages import PersonSpec, PlaceCall
from calls.call.call_limits import limits_for_rtt
from calls.call.call_rules import ANSWERED_ELSEWHERE, CallState, SignalType
from calls.call.decisions import Decision
from calls.call.expectation import is_unreliable
from calls.engine.closing import finish_all, hang_up_limit_s
from calls.engine.context import Context
from calls.engine.legs.callee import CalleeLeg
from calls.engine.legs.caller import CallerLeg
from calls.engine.legs.leg import POOR_RTT_MS, CallLeg
from calls.errors import EngineRefused
from calls.media.access_link import AccessLink
from calls.records.record import LegRecord
from calls.scenarios import SCENARIOS, Scenario, mark_of, marked
from calls.targets.protocol import Signal, TargetSession
from network_profiles import NetworkProfile, load_catalogue

logger = logging.getLogger(__name__)

OnLegFinished = Callable[[LegRecord], None]

POOR_RATE_KBIT = 64.0
"""Default Opus in 20 ms frames takes about 45 kbit/s with its headers, each way. Below this there is no headroom."""


class SignedInPerson:
    """One signed-in person on one device: the listener of its session and the owner of its calls."""

    session: TargetSession

    def __init__(self, context: Context, spec: PersonSpec, device: str = "") -> None:
        self.spec = spec
        self.device = device
        """Empty for the first device. A second device exists for the time of one call."""
        self.link: AccessLink | None = None
        self.generation = ""
        self.low_audio = False
        self.limits = context.limits
        self.link_unreliable = False
        """Calls may break on the access link: see ``calls.call.expectation``."""
        self.calls: dict[str, CallLeg] = {}
        self._context = context
        self._rng: random.Random = context.random_of("habits", spec.name)
        self._tasks: set[asyncio.Task[LegRecord]] = set()
        self._on_leg_finished: OnLegFinished = lambda _record: None
        self._is_signed_in = False
        self._early_signals: list[Signal] = []
        """Messages that arrived before the sign-in was complete."""
        self._second: SignedInPerson | None = None
        self._second_device_task: asyncio.Task[None] | None = None
        self._rings = asyncio.Event()

    async def sign_in(self, on_leg_finished: OnLegFinished) -> None:
        """Goes online. Raises TargetUnreachable, SignInRefused, or EngineRefused for an unknown network."""
        self._on_leg_finished = on_leg_finished
        profile = _profile(self.spec.network)
        real = _profile(self.spec.link)
        # A profile given by its file path appears under its id in every record.
        self.spec = msgspec.structs.replace(
            self.spec, network=profile.id if profile else "", link=real.id if real else ""
        )
        if profile is not None:
            seed = self._context.random_of("link", self.spec.name + self.device).getrandbits(32)
            self.link_unreliable = await _is_unreliable(profile, self._context.limits.gap_ms)
            self.link = AccessLink(profile, seed, self._context.media.ticker)
        self.generation = str(profile.generation if profile else real.generation if real else "")
        limit_s = self._context.configure.sign_in_limit_s
        try:
            self.session = await self._context.target.sign_in(
                self.spec.name, self.spec.password, self, self.link, limit_s
            )
        except BaseException:
            if self.link is not None:
                self.link.close()
            raise
        self.limits = limits_for_rtt(self._context.limits, (self.session.rtt_ms or 0.0) / 1000.0)
        self.low_audio = self.session.policy.degradation and is_poor(profile, self.session.rtt_ms)
        self._is_signed_in = True
        early, self._early_signals = self._early_signals, []
        for signal in early:
            self.on_signal(signal)

    async def sign_out(self) -> None:
        """Ends the current calls, then goes offline with every device."""
        await self.end_calls("signed_out")
        if self._second_device_task is not None:
            self._second_device_task.cancel()
            await asyncio.gather(self._second_device_task, return_exceptions=True)
        await self.session.close()
        if self.link is not None:
            self.link.close()

    # The session's listener.

    def on_signal(self, signal: Signal) -> None:
        """Hands a message to its call; an invitation starts a new call."""
        if not self._is_signed_in:
            self._early_signals.append(signal)
            return
        leg = self.calls.get(signal.call_id)
        if leg is not None:
            leg.on_signal(signal)
        elif signal.what is SignalType.INCOMING:
            self._on_invitation(signal)
        elif signal.what is not SignalType.ENDED:
            logger.info("%s: %s about call %s, which is not on", self.spec.name, signal.what, signal.call_id)

    def on_resuming(self, call_id: str) -> None:
        """Notes that the session asked the service to resume a call."""
        leg = self.calls.get(call_id)
        if leg is not None:
            leg.on_resuming()

    def on_garbage(self, what: str) -> None:
        """Records a violation in every current call: the invalid message names no call."""
        for leg in self.calls.values():
            leg.on_garbage()

    def on_lost(self) -> None:
        """Ends every call, because its further course is unknown."""
        for leg in self.calls.values():
            leg.stop("signaling_lost")

    # Calls.

    def decide(self) -> tuple[Decision, float]:
        """Returns what this person does with a call, and after how many seconds of ringing."""
        habit = self.spec.answers
        chance = self._rng.random()
        stretch = 1.0 + self._rng.uniform(-habit.ring_jitter, habit.ring_jitter)
        after_s = max(0.0, habit.answer_after_s * stretch)
        if chance < habit.decline_ratio:
            return Decision.DECLINE, after_s
        if chance < habit.decline_ratio + habit.ignore_ratio:
            return Decision.IGNORE, after_s
        return Decision.ANSWER, after_s

    def place(self, order: PlaceCall) -> asyncio.Task[LegRecord]:
        """Starts a call. Raises EngineRefused when this person is in a call."""
        if self.current() is not None:
            raise EngineRefused(f"{self.spec.name} is in a call", code="in_call")
        call_id = marked(order.call_id or self._new_call_id(), order.scenario, order.talk_s)
        return self._start(CallerLeg(self._context, self, order, call_id, SCENARIOS.get(order.scenario)))

    def bring_second_device(self, scenario: Scenario, call_id: str) -> bool:
        """Signs in on a second device for one call, if the scenario needs it; returns whether it does.

        The person decides once both devices ring.
        """
        if not scenario.needs_second_device or self.device or self._second_device_task is not None:
            return False
        self._second_device_task = asyncio.get_running_loop().create_task(
            self._run_second_device(call_id), name=f"{self.spec.name}'s second"
        )
        self._second_device_task.add_done_callback(self._on_second_device_done)
        return True

    def devices(self) -> tuple[SignedInPerson, ...]:
        """Returns this person's online devices."""
        return (self, self._second) if self._second is not None else (self,)

    def current(self) -> CallLeg | None:
        """Returns the current call; None without one."""
        for leg in self.calls.values():
            if leg.machine.state is not CallState.ENDED:
                return leg
        return None

    def leave(self, reason: str) -> None:
        """Ends the current call with a hang-up, cancel or decline."""
        leg = self.current()
        if leg is not None:
            leg.leave(reason)

    async def end_calls(self, reason: str) -> None:
        """Leaves every call and waits for its row; cancels the calls that do not end within their limits."""
        for leg in self.calls.values():
            leg.leave(reason)
        await finish_all(self._tasks, hang_up_limit_s(self.limits.confirm_s))

    def tasks(self) -> Iterable[asyncio.Task[LegRecord]]:
        """Returns the current calls as tasks."""
        return tuple(self._tasks)

    def reset_link_delay(self) -> None:
        """Resets the link's longest delay when a first call begins."""
        if self.link is not None and not self.calls:
            self.link.counters.max_delay_s = 0.0

    def link_max_delay_ms(self) -> float:
        """Returns the longest time that a packet spent on the link since the call began."""
        return self.link.counters.max_delay_s * 1000.0 if self.link is not None else 0.0

    def link_drops(self) -> Mapping[str, int]:
        """Returns the packets that this person's access link has dropped so far, by cause."""
        return dict(self.link.counters.drops) if self.link is not None else {}

    def _new_call_id(self) -> str:
        return f"{self._context.identity.writer}-{uuid.uuid4().hex}"

    def _on_invitation(self, incoming: Signal) -> None:
        mark = mark_of(incoming.call_id)
        if mark is not None and mark.scenario is SCENARIOS["glare"]:
            self._call_caller_back(incoming)
        leg = CalleeLeg(self._context, self, incoming)
        if self.current() is not None:
            # This person was dialing: the service may repeat the invitation after it has refused that call.
            leg.machine.allow_repeated_invitation()
        self._start(leg).add_done_callback(self._report)
        self._rings.set()

    def _call_caller_back(self, incoming: Signal) -> None:
        """Calls the caller as if its invitation had not arrived: for the service, both cross on the wire."""
        order = PlaceCall(
            caller=self.spec.name,
            callee=incoming.peer,
            intended_at_s=self._context.clock.unix_s(),
            talk_s=1.0,
            scenario=SCENARIOS["glare"].name,
        )
        self._start(CallerLeg(self._context, self, order, self._new_call_id(), SCENARIOS["busy"]))

    async def _run_second_device(self, call_id: str) -> None:
        """Brings the second device online for one call. The first decides when both ring, or if that fails."""
        second = SignedInPerson(self._context, self.spec, "second")
        first_leg = self.calls[call_id]
        try:
            try:
                async with asyncio.timeout(self._context.limits.setup_s):
                    await second.sign_in(self._on_leg_finished)
                    self._second = second
                    await second._rings.wait()
            except (RingfenceError, TimeoutError) as error:
                logger.warning("%s: no second device: %s", self.spec.name, error)
            for leg in (first_leg, *second.calls.values()):
                if isinstance(leg, CalleeLeg):
                    leg.schedule_decision()
            while tasks := {*self._tasks, *second._tasks}:
                await asyncio.wait(tasks)
        finally:
            if second._is_signed_in:
                await second.sign_out()

    def _on_second_device_done(self, lending: asyncio.Task[None]) -> None:
        self._second = self._second_device_task = None
        if not lending.cancelled() and (error := lending.exception()) is not None:
            logger.error("%s: the second device: %r", self.spec.name, error)

    def _start(self, leg: CallLeg) -> asyncio.Task[LegRecord]:
        call_id = leg.facts.call_id
        self.calls[call_id] = leg
        task = asyncio.get_running_loop().create_task(leg.run(), name=f"call {call_id} {leg.facts.side}")
        self._tasks.add(task)

        def over(task: asyncio.Task[LegRecord]) -> None:
            self._tasks.discard(task)
            self.calls.pop(call_id, None)

        task.add_done_callback(over)
        return task

    def _report(self, task: asyncio.Task[LegRecord]) -> None:
        if not task.cancelled() and task.exception() is None and task.result().reason != ANSWERED_ELSEWHERE:
            self._on_leg_finished(task.result())


def is_poor(profile: NetworkProfile | None, rtt_ms: float | None) -> bool:
    """Returns whether a link cannot carry default Opus with headroom, by its rates and the measured round trip."""
    rates = [side.rate_kbit for side in (profile.up, profile.down)] if profile is not None else []
    too_narrow = any(rate is not None and rate < POOR_RATE_KBIT for rate in rates)
    return too_narrow or (rtt_ms is not None and rtt_ms > POOR_RTT_MS)


async def _is_unreliable(profile: NetworkProfile, gap_limit_ms: float) -> bool:
    key = profile.id, gap_limit_ms
    if key not in _UNRELIABLE:
        # Reading a trace takes longer than a packet may wait.
        _UNRELIABLE[key] = await asyncio.to_thread(is_unreliable, profile, gap_limit_ms)
    return _UNRELIABLE[key]


_UNRELIABLE: dict[tuple[str, float], bool] = {}


def _profile(network: str) -> NetworkProfile | None:
    if not network:
        return None
    catalogue = load_catalogue()
    if network not in catalogue:
        hint = nearest(network, catalogue)
        raise EngineRefused(f"unknown network '{network}'", code="unknown_network", hint=hint)
    return catalogue[network]

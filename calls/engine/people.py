"""The people signed in at this engine: their sessions, links and habits, and the calls they are in."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Iterable, Mapping

from bedrock.toml_input import nearest
from calls.access_link import AccessLink
from calls.bridge.messages import PersonSpec, PlaceCall
from calls.engine.callee import CalleeLeg
from calls.engine.caller import CallerLeg
from calls.engine.context import Context
from calls.engine.leg import CallLeg
from calls.errors import EngineRefused
from calls.record import LegRecord
from calls.state_machine import CallState, Decision, Told
from calls.targets.protocol import Signal, TargetSession
from network_profiles import NetworkProfile, load_catalogue

logger = logging.getLogger(__name__)

OnLegFinished = Callable[[LegRecord], None]

POOR_RATE_KBIT = 64.0
"""Default Opus in 20 ms frames takes some 45 kbit/s with its headers, each way; below this there is no headroom."""
POOR_RTT_MS = 500.0


class Person:
    """One signed-in person: the listener of its session."""

    session: TargetSession

    def __init__(self, context: Context, spec: PersonSpec) -> None:
        self.spec = spec
        self.link: AccessLink | None = None
        self.generation = ""
        self.low_audio = False
        self.calls: dict[str, CallLeg] = {}
        self._context = context
        self._rng: random.Random = context.random_of("habits", spec.name)
        self._tasks: set[asyncio.Task[LegRecord]] = set()
        self._on_leg_finished: OnLegFinished = lambda _record: None

    async def sign_in(self, on_leg_finished: OnLegFinished) -> None:
        """Goes online. Raises TargetUnreachable, SignInRefused, or EngineRefused for an unknown network."""
        self._on_leg_finished = on_leg_finished
        profile = _profile(self.spec.network)
        real = _profile(self.spec.link)
        if profile is not None:
            seed = self._context.random_of("link", self.spec.name).getrandbits(32)
            self.link = AccessLink(profile, seed, asyncio.get_running_loop(), self._context.media.ticker)
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
        self.low_audio = self.session.policy.degradation and is_poor(profile, self.session.rtt_ms)

    async def sign_out(self) -> None:
        """Ends the calls that are on, then goes offline."""
        await self.end_calls("signed_out")
        await self.session.close()
        if self.link is not None:
            self.link.close()

    # The session's listener.

    def on_signal(self, signal: Signal) -> None:
        """Hands a message to its call; an invitation starts one."""
        leg = self.calls.get(signal.call_id)
        if leg is not None:
            leg.on_signal(signal)
        elif signal.what is Told.INCOMING:
            self._start(CalleeLeg(self._context, self, signal)).add_done_callback(self._report)
        elif signal.what is not Told.ENDED:
            logger.info("%s: %s about call %s, which is not on", self.spec.name, signal.what, signal.call_id)

    def on_lost(self) -> None:
        """Ends every call: nobody can say how it goes on."""
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
        """Starts a call. Raises EngineRefused when this person is in one."""
        if self.current() is not None:
            raise EngineRefused(f"{self.spec.name} is in a call", code="in_call")
        call_id = order.call_id or f"{self._context.identity.writer}-{uuid.uuid4().hex}"
        return self._start(CallerLeg(self._context, self, order, call_id))

    def current(self) -> CallLeg | None:
        """Returns the call that is on, None when there is none."""
        for leg in self.calls.values():
            if leg.machine.state is not CallState.ENDED:
                return leg
        return None

    def leave(self, reason: str) -> None:
        """Leaves the call that is on, politely."""
        leg = self.current()
        if leg is not None:
            leg.leave(reason)

    async def end_calls(self, reason: str) -> None:
        """Leaves every call and waits for its row; what does not end by itself within its limits is cut off."""
        for leg in self.calls.values():
            leg.leave(reason)
        limits = self._context.limits
        await finish_all(self._tasks, limits.confirm_s + GRACE_S)

    def tasks(self) -> Iterable[asyncio.Task[LegRecord]]:
        """Returns the calls that are on, as tasks."""
        return tuple(self._tasks)

    def link_drops(self) -> Mapping[str, int]:
        """Returns what this person's access link has dropped so far, by cause."""
        return dict(self.link.counters.drops) if self.link is not None else {}

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
        if not task.cancelled() and task.exception() is None:
            self._on_leg_finished(task.result())


GRACE_S = 5.0
"""What a call may take for its media's end and its row, after its last limit."""


async def finish_all(tasks: Iterable[asyncio.Task[LegRecord]], timeout_s: float) -> int:
    """Waits for ``tasks``; cuts off what is left after ``timeout_s``, and returns how many that were."""
    waiting = set(tasks)
    if not waiting:
        return 0
    _, left = await asyncio.wait(waiting, timeout=timeout_s)
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=GRACE_S)
    return len(left)


def is_poor(profile: NetworkProfile | None, rtt_ms: float | None) -> bool:
    """Says whether a link cannot carry default Opus with headroom, by its rates and the measured round trip."""
    rates = [side.rate_kbit for side in (profile.up, profile.down)] if profile is not None else []
    too_narrow = any(rate is not None and rate < POOR_RATE_KBIT for rate in rates)
    return too_narrow or (rtt_ms is not None and rtt_ms > POOR_RTT_MS)


def _profile(network: str) -> NetworkProfile | None:
    if not network:
        return None
    catalogue = load_catalogue()
    if network not in catalogue:
        hint = nearest(network, catalogue)
        raise EngineRefused(f"unknown network '{network}'", code="unknown_network", hint=hint)
    return catalogue[network]

"""Carries out the driver's commands. Knows people and calls, not sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from bedrock.clock import Clock
from bedrock.errors import RingfenceError
from calls.bridge.messages import (
    AnyCommand,
    AnyEvent,
    AnyReply,
    CallFinished,
    Configure,
    Done,
    Drain,
    Drained,
    EngineTrouble,
    HangUp,
    LegFinished,
    ListOpened,
    MessageDone,
    OpenList,
    PersonSnapshot,
    PlaceCall,
    Refused,
    SendMessage,
    Shutdown,
    SignedIn,
    SignIn,
    SignOut,
    Snapshot,
)
from calls.engine.closing import GRACE_S, SOCKETS_S, WRITE_S, ClosingReporter, finish_all, hang_up_limit_s
from calls.engine.context import Context
from calls.engine.health.shortage import Shortage
from calls.engine.identity import EngineIdentity
from calls.engine.legs.leg import CallLeg
from calls.engine.people.lists import open_list
from calls.engine.people.people import SignedInPerson
from calls.engine.people.snapshot import snapshot_of
from calls.engine.periodic_sampler import PeriodicSampler
from calls.engine.records.probe_scoring_client import ProbeScoringClient
from calls.engine.records.recorder import Recorder
from calls.errors import EngineRefused, NotDelivered, SignInRefused
from calls.media.factory import MediaFactory
from calls.media.ice.transport import ConnectLimits
from calls.media.timing.alarm import Alarm, MakeAlarm
from calls.records.record import LegRecord, ListRow, MessageRow
from calls.targets import open_target


class Engine:
    """One per process. ``tell`` takes events and never blocks."""

    def __init__(
        self, identity: EngineIdentity, clock: Clock, tell: Callable[[AnyEvent], None], make_alarm: MakeAlarm = Alarm
    ) -> None:
        self.stopping = asyncio.Event()
        """Set after a Shutdown was carried out."""
        self._identity = identity
        self._clock = clock
        self._make_alarm = make_alarm
        self._tell = tell
        self._recorder = Recorder(
            identity.run_folder,
            identity.writer,
            lambda code, message, is_over: tell(
                EngineTrouble(code=code, message=message, loses_data=is_over, ends_load=is_over)
            ),
        )
        self._shortage = Shortage(
            lambda message: tell(EngineTrouble(code="is_short", message=message, loses_data=True, ends_load=True))
        )
        loop = asyncio.get_running_loop()
        self._probes = ProbeScoringClient(
            identity.run_folder,
            identity.run_id,
            identity.writer,
            lambda code, message: self._report_from_thread(loop, code, message),
        )
        self._configured: Context | None = None
        self._people: dict[str, SignedInPerson] = {}
        self._signing_in: set[str] = set()
        self._sampler: asyncio.Task[None] | None = None
        self._draining = False
        self._closed = False
        self._closing = ClosingReporter(tell)
        self._handlers: dict[type[AnyCommand], Callable[[Any], Awaitable[AnyReply]]] = {
            Configure: self._configure,
            SignIn: self._sign_in,
            SignOut: self._sign_out,
            PlaceCall: self._place,
            SendMessage: self._send_message,
            OpenList: self._open_list,
            Snapshot: self._snapshot,
            HangUp: self._hang_up,
            Drain: self._drain,
            Shutdown: self._shut_down,
        }

    async def carry_out(self, command: AnyCommand) -> AnyReply:
        """Returns the reply to ``command``; any error becomes a Refused."""
        try:
            return await self._handlers[type(command)](command)
        except (EngineRefused, SignInRefused) as error:
            self._shortage.notice(error)
            return Refused(code=error.code, message=error.message, hint=error.hint)
        except RingfenceError as error:
            self._shortage.notice(error)
            code = "".join(f"_{part.lower()}" if part.isupper() else part for part in type(error).__name__)
            return Refused(code=code.lstrip("_"), message=str(error), hint=error.hint)

    async def close(self) -> None:
        """Ends all calls and writes all rows. Safe to call twice."""
        if self._closed:
            return
        self._closed = self._draining = True
        async with self._closing.step("cutting calls off", GRACE_S, self._calls_left):
            await finish_all(self._tasks(), 0.0)
        leaving = [asyncio.create_task(person.sign_out()) for person in self._people.values()]
        limit_s = self._hang_up_limit_s() + GRACE_S + SOCKETS_S
        async with self._closing.step("signing out", limit_s, lambda: sum(not one.done() for one in leaving)):
            await asyncio.gather(*leaving, return_exceptions=True)
        if self._sampler is not None:
            self._sampler.cancel()
            await asyncio.wait({self._sampler})
        if self._configured is not None:
            async with self._closing.step("closing sockets", SOCKETS_S, lambda: 1):
                await self._configured.target.close()
                await self._configured.media.close()
        async with self._closing.step("writing rows", WRITE_S, lambda: 1):
            await self._recorder.close()
        async with self._closing.step("scoring probes", self._probes.close_limit_s, lambda: 1):
            await self._probes.close()

    @property
    def _context(self) -> Context:
        if self._configured is None:
            raise EngineRefused("the engine is not configured", code="not_configured")
        return self._configured

    def _person(self, name: str) -> SignedInPerson:
        person = self._people.get(name)
        if person is None:
            raise EngineRefused(f"{name} is not signed in here", code="not_signed_in")
        return person

    async def _configure(self, command: Configure) -> Done:
        if self._configured is not None:
            raise EngineRefused("the engine is configured already", code="configured")
        target = open_target(command.target.kind, command.target.url, self._clock)
        limits = ConnectLimits(ice_s=command.setup_limit_s, dtls_s=command.setup_limit_s)
        loop = asyncio.get_running_loop()
        media = MediaFactory(loop, self._clock, limits=limits, make_alarm=self._make_alarm)
        self._configured = Context(
            self._identity, command, self._clock, target, media, self._recorder, self._probes, self._shortage
        )
        sampler = PeriodicSampler(
            self._configured, legs=self._legs, signed_in=lambda: len(self._people), tell=self._tell
        )
        self._sampler = asyncio.create_task(sampler.run(), name="periodic sampler")
        return Done()

    async def _sign_in(self, command: SignIn) -> SignedIn:
        spec = command.person
        if spec.name in self._people or spec.name in self._signing_in:
            raise EngineRefused(f"{spec.name} is signed in here already", code="signed_in")
        person = SignedInPerson(self._context, spec)
        self._signing_in.add(spec.name)
        try:
            await person.sign_in(self._leg_finished)
        finally:
            self._signing_in.discard(spec.name)
        if self._closed:
            await person.sign_out()
            raise EngineRefused("the engine ends", code="closing")
        self._people[spec.name] = person
        session = person.session
        return SignedIn(rtt_ms=session.rtt_ms, degradation=session.policy.degradation, low_audio=person.low_audio)

    async def _sign_out(self, command: SignOut) -> Done:
        person = self._people.get(command.name)
        if person is not None:
            await person.sign_out()
            self._people.pop(command.name, None)
        return Done()

    async def _place(self, command: PlaceCall) -> CallFinished:
        if self._draining:
            raise EngineRefused("the engine takes no new calls", code="draining")
        # Shielded: the call has its own end, even if the requester is cancelled.
        return CallFinished(leg=await asyncio.shield(self._person(command.caller).place(command)))

    async def _send_message(self, command: SendMessage) -> MessageDone:
        person, reason = self._person(command.sender), ""
        ahead_s = command.intended_at_s - self._clock.unix_s()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)
        try:
            await person.session.send_text(command.to, command.text, command.timeout_s)
        except NotDelivered as error:
            reason = error.code
        ack_ms = (self._clock.unix_s() - command.intended_at_s) * 1000.0
        row = MessageRow(
            run_id=self._identity.run_id,
            writer=self._identity.writer,
            at_s=command.intended_at_s,
            sender=command.sender,
            to=command.to,
            network=person.spec.network,
            generation=person.generation,
            ok=not reason,
            reason=reason,
            ack_ms=ack_ms if not reason else None,
        )
        self._recorder.messages.append(row)
        return MessageDone(row=row)

    async def _open_list(self, command: OpenList) -> ListOpened:
        person = self._person(command.name)
        at_s = self._clock.unix_s() if command.intended_at_s is None else command.intended_at_s
        opened = await open_list(person, command, at_s, self._clock)
        row = ListRow(
            run_id=self._identity.run_id,
            writer=self._identity.writer,
            at_s=at_s,
            person=command.name,
            look_at=command.look_at.value,
            heavy_past=command.heavy_past,
            is_newest=command.before is None,
            network=person.spec.network,
            generation=person.generation,
            ok=not opened.reason,
            reason=opened.reason,
            blame=opened.blame,
            took_ms=opened.took_ms if not opened.reason else None,
            size_bytes=opened.size_bytes,
        )
        self._recorder.lists.append(row)
        return opened

    async def _hang_up(self, command: HangUp) -> Done:
        self._person(command.name).leave("")
        return Done()

    async def _drain(self, command: Drain) -> Drained:
        self._draining = True
        self._probes.load_is_over()
        tasks = self._tasks()
        left = set(tasks)
        if left:
            async with self._closing.step("letting calls end", command.timeout_s, self._calls_left):
                _, left = await asyncio.wait(left, timeout=command.timeout_s)
        for person in self._people.values():
            person.leave("drained")
        forced = len(left)
        limit_s = self._hang_up_limit_s()
        async with self._closing.step("hanging up", limit_s + GRACE_S, self._calls_left):
            await finish_all(self._tasks(), limit_s)
        async with self._closing.step("writing rows", WRITE_S, lambda: 1):
            await self._recorder.flush()
        return Drained(ended=len(tasks), forced=forced)

    def _hang_up_limit_s(self) -> float:
        devices = (device for person in self._people.values() for device in person.devices())
        return hang_up_limit_s(max((device.limits.confirm_s for device in devices), default=0.0))

    def _calls_left(self) -> int:
        return len(self._tasks())

    async def _shut_down(self, _command: Shutdown) -> Done:
        await self.close()
        self.stopping.set()
        return Done()

    async def _snapshot(self, command: Snapshot) -> PersonSnapshot:
        return snapshot_of(self._person(command.name))

    def _report_from_thread(self, loop: asyncio.AbstractEventLoop, code: str, message: str) -> None:
        trouble = EngineTrouble(code=code, message=message, loses_data=True)
        loop.call_soon_threadsafe(self._tell, trouble)

    def _leg_finished(self, record: LegRecord) -> None:
        self._tell(LegFinished(leg=record))

    def _legs(self) -> Iterable[CallLeg]:
        return [leg for person in self._people.values() for device in person.devices() for leg in device.calls.values()]

    def _tasks(self) -> list[asyncio.Task[LegRecord]]:
        return [task for person in self._people.values() for device in person.devices() for task in device.tasks()]

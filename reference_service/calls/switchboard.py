"""The call state machine: invite, ring, answer, end. One call a person at a time; the first answer wins.

All of it runs on the event loop and never waits, so each message sees a complete state. Races are decided by the
message that was read first: cancel against answer, two devices that answer, two people who call each other.
An ended call keeps both people engaged until its log is on disk; only then do they hear ``call.ended``.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from typing import NamedTuple

from reference_service.calls.call import Call, CallPhase, CallSide, EndReason
from reference_service.calls.call_log import CallLog
from reference_service.connection import Connection
from reference_service.faults import Faults
from reference_service.people.directory import Directory
from reference_service.people.presence import OnlineUsers
from reference_service.protocol import (
    CallAnswer,
    CallInvite,
    CallMessage,
    CallRinging,
    CallShadow,
    Rejected,
    encode,
    encode_error,
)
from reference_service.settings import RESUME_GRACE_S

REMEMBERED_ENDS = 5000


class Ended(NamedTuple):
    """How a call that is over ended, for whoever asks late."""

    people: tuple[str, str]
    message: bytes


class Switchboard:
    """Every live call. Methods raise Rejected for what a client may not do."""

    def __init__(
        self, directory: Directory, presence: OnlineUsers, log: CallLog, faults: Faults, *, no_answer_s: float
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.log = log
        self._directory = directory
        self._presence = presence
        self._faults = faults
        self._no_answer_s = no_answer_s
        self._loop = asyncio.get_running_loop()
        self._live: dict[str, Call] = {}
        self._engaged: dict[str, Call] = {}
        self._ended: OrderedDict[str, Ended] = OrderedDict()

    @property
    def active_calls(self) -> int:
        """Calls that have not ended."""
        return len(self._live)

    def invite(self, caller: Connection, invite: CallInvite) -> None:
        """Rings every device of the callee, or refuses."""
        if not self._is_sound(caller, invite):
            return
        row, written = self.log.open(invite.call_id, caller.user, invite.to, invite.media)
        if code := self._refusal(caller.user, invite.to):
            self.log.refused(row, code).add_done_callback(lambda _: self._refuse(caller, invite.call_id, code))
            return
        display_name = self._directory.users[caller.user].display_name
        call = Call(
            call_id=invite.call_id,
            row=row,
            caller=CallSide(caller.user),
            callee=CallSide(invite.to),
            media=invite.media,
            incoming=encode(
                "call.incoming",
                call_id=invite.call_id,
                **{"from": caller.user},
                display_name=display_name,
                media=invite.media,
                sdp=invite.sdp,
            ),
        )
        self._live[call.call_id] = self._engaged[caller.user] = self._engaged[invite.to] = call
        call.timers.append(self._loop.call_later(self._no_answer_s, self.end, call, "no_answer", None))
        caller.calls.add(call.call_id)
        written.add_done_callback(lambda done: self._acknowledge(call, caller, done))
        for device in self._presence.of(invite.to):
            self._ring(call, device)
        self.counts["invited"] += 1

    def shadow(self, caller: Connection, shadow: CallShadow) -> None:
        """Walks the way of an invitation to its end, short of ringing: checks, the log, the routing."""
        if not self._is_sound(caller, shadow):
            return
        row, _ = self.log.open(shadow.call_id, caller.user, shadow.to, shadow.media)
        if code := self._refusal(caller.user, shadow.to):
            written = self.log.refused(row, f"shadow_{code}")
            written.add_done_callback(lambda _: self._refuse(caller, shadow.call_id, code))
            return
        devices = len(self._presence.of(shadow.to))
        message = encode("call.ended", call_id=shadow.call_id, reason="shadowed", by=None, devices=devices)

        def routed(written: asyncio.Future[None]) -> None:
            if written.exception() is not None:
                self._not_stored(caller, shadow.call_id)
                return
            self.counts["shadowed"] += 1
            self._remember(shadow.call_id, Ended((caller.user, caller.user), message))
            caller.send(encode("call.trying", call_id=shadow.call_id))
            caller.send(message)

        self.log.refused(row, "shadowed").add_done_callback(routed)

    def ringing(self, device: Connection, message: CallRinging) -> None:
        """The first device that rings tells the caller; further ones change nothing."""
        call, side = self.find(device, message)
        if call is None:
            return
        if side is not call.callee or not call.is_before_answer:
            raise illegal(message, "only a callee who has not answered rings")
        if call.state is CallPhase.TRYING:
            call.state = CallPhase.RINGING
            self.log.event(call, "ringing", device.user)
            call.send_to_caller(encode("call.ringing", call_id=call.call_id))

    def answer(self, device: Connection, message: CallAnswer) -> None:
        """Gives the call to the first device that answers; the callee's others stop ringing."""
        call, side = self.find(device, message)
        if call is None:
            self.tell_end(device, message)
            return
        if side is not call.callee or call.callee.connection is device:
            raise illegal(message, "only a callee who has not answered answers")
        if not call.is_before_answer:
            device.send(self._end_message(call, "answered_elsewhere", device.user))
            return
        call.stop_timers()
        for other in call.ringing_on:
            if other is not device:
                other.calls.discard(call.call_id)
                other.send(self._end_message(call, "answered_elsewhere", device.user))
        call.ringing_on.clear()
        call.state = CallPhase.ANSWERED
        device.calls.add(call.call_id)
        call.callee.bind(device)
        for held in call.on_answer:
            call.callee.send(held)
        call.held_behind_answer.extend(call.early.get(device, ()))
        call.early.clear()
        self.counts["answered"] += 1
        self.log.event(call, "answered", device.user, media=message.media)
        self._send_answer(call, encode("call.answered", call_id=call.call_id, media=message.media, sdp=message.sdp))

    def end(self, call: Call, reason: EndReason, by: str | None) -> None:
        """Ends ``call``, once; everybody hears of it when the log is on disk."""
        if call.state is CallPhase.ENDED:
            return
        call.state = CallPhase.ENDED
        call.end_reason, call.ended_by = reason, by
        call.stop_timers()
        call.caller.stop_grace()
        call.callee.stop_grace()
        self.counts[f"ended_{reason}"] += 1
        call.written = self.log.ended(call)
        call.written.add_done_callback(lambda _: self._announce_end(call))

    def end_by_operator(self, call_id: str) -> bool:
        """Hangs a call up for both sides; says whether there was one."""
        call = self._live.get(call_id)
        if call is None or call.state is CallPhase.ENDED:
            return False
        self.end(call, "hangup", None)
        return True

    def call_of(self, user: str) -> Call | None:
        """The call that ``user`` is in, ringing included."""
        return self._engaged.get(user)

    def find(self, device: Connection, message: CallMessage) -> tuple[Call | None, CallSide]:
        """Returns the live call of ``message`` and the sender's side; no call when it is over or ending.

        Raises Rejected when there never was such a call, or the sender has no part in it.
        """
        call = self._live.get(message.call_id)
        if call is None:
            ended = self._ended.get(message.call_id)
            if ended is not None and device.user in ended.people:
                return None, CallSide(device.user)
        elif (side := call.side_of(device.user)) is not None:
            return (None if call.state is CallPhase.ENDED else call), side
        raise Rejected("unknown_call", "you have no such call", call_id=message.call_id)

    def tell_end(self, device: Connection, message: CallMessage) -> None:
        """Tells a sender who is late how the call ended; a call whose end is being written is told soon anyway."""
        if ended := self._ended.get(message.call_id):
            device.send(ended.message)

    def connection_opened(self, device: Connection) -> None:
        """A device that comes online while its user is being called rings too."""
        call = self._engaged.get(device.user)
        if call is not None and call.is_before_answer and call.callee.user == device.user:
            call.callee.stop_grace()
            self._ring(call, device)

    def connection_lost(self, device: Connection) -> None:
        """Starts the grace of every call that has no other device of this user."""
        device.is_gone = True
        for call_id in device.calls:
            call = self._live.get(call_id)
            if call is None or call.state is CallPhase.ENDED:
                continue
            call.early.pop(device, None)
            if device in call.ringing_on:
                call.ringing_on.remove(device)
                if not call.ringing_on:
                    self._start_grace(call, call.callee)
            elif (side := call.side_of(device.user)) is not None and side.connection is device:
                side.connection = None
                self._start_grace(call, side)

    def resume(self, device: Connection, message: CallMessage) -> None:
        """Moves the user's side of a call to ``device``, with what was said meanwhile."""
        try:
            call, side = self.find(device, message)
        except Rejected:
            device.send(encode("call.ended", call_id=message.call_id, reason="peer_lost", by=None))
            return
        if call is None:
            self.tell_end(device, message)
            return
        device.send(encode("call.resumed", call_id=call.call_id, state=call.state, media=call.media))
        if side is call.callee and call.is_before_answer:
            if device not in call.ringing_on:
                self._ring(call, device)
            side.stop_grace()
        else:
            self.adopt(call, side, device)

    def adopt(self, call: Call, side: CallSide, device: Connection) -> None:
        """Gives ``side`` to ``device``; a device that had it hears that the call went elsewhere."""
        before = side.connection
        if before is device:
            return
        if before is not None:
            before.calls.discard(call.call_id)
            before.send(self._end_message(call, "answered_elsewhere", side.user))
        device.calls.add(call.call_id)
        side.bind(device)
        self.log.event(call, "resumed", side.user)

    async def end_all(self) -> None:
        """Ends every call because the service stops; returns once the log is on disk."""
        calls = self.live()
        for call in calls:
            self.end(call, "peer_lost", None)
        await asyncio.gather(*(call.written for call in calls if call.written is not None), return_exceptions=True)

    def live(self) -> list[Call]:
        """Every call that has not been announced as ended."""
        return list(self._live.values())

    def _is_sound(self, caller: Connection, invite: CallInvite | CallShadow) -> bool:
        """Says whether the call can be looked at; one that cannot is refused. Raises Rejected."""
        if invite.to == caller.user:
            raise Rejected("bad_message", "nobody calls themselves", call_id=invite.call_id)
        if invite.call_id in self._live or invite.call_id in self._ended:
            self._refuse(caller, invite.call_id, "duplicate")
            return False
        if invite.to not in self._directory.users:
            self._refuse(caller, invite.call_id, "unknown_user")
            return False
        return True

    def _refusal(self, caller: str, callee: str) -> str | None:
        """The callee's controls come first: a stranger learns neither who is online nor who is busy."""
        if not self._directory.may_call(caller, callee):
            return "blocked"
        if callee in self._engaged or caller in self._engaged:
            return "busy"
        return None if self._presence.is_online(callee) else "offline"

    def _refuse(self, caller: Connection, call_id: str, code: str) -> None:
        self.counts[f"refused_{code}"] += 1
        caller.send(encode("call.refused", call_id=call_id, code=code))
        being_called = self._engaged.get(caller.user)
        if code == "busy" and being_called is not None and caller in being_called.ringing_on:
            self._show(being_called, caller)  # the device was busy dialing when it came, and may have passed over it

    def _acknowledge(self, call: Call, device: Connection, written: asyncio.Future[None]) -> None:
        """The call is on disk: the caller hears so, and whatever the callee's side has said since.

        One that could not be stored ends: the caller is refused, and who rings or has answered hears of the end.
        """
        if written.exception() is not None:
            self._not_stored(device, call.call_id)
            call.caller.held.clear()
            device.calls.discard(call.call_id)
            self.end(call, "peer_lost", None)
            return
        if call.caller.connection is not None:
            return  # another device of the caller has taken the call over already
        device.send(encode("call.trying", call_id=call.call_id))
        if not device.is_gone:
            call.caller.bind(device)
        elif call.state is not CallPhase.ENDED:
            self._start_grace(call, call.caller)

    def _not_stored(self, caller: Connection, call_id: str) -> None:
        self.counts["not_stored"] += 1
        caller.send(encode_error(Rejected("storage", "the service cannot store this call now", call_id=call_id)))

    def _ring(self, call: Call, device: Connection) -> None:
        call.ringing_on.append(device)
        device.calls.add(call.call_id)
        self._show(call, device)

    def _show(self, call: Call, device: Connection) -> None:
        device.send(call.incoming)
        for message in call.before_answer:
            device.send(message)

    def _send_answer(self, call: Call, answered: bytes) -> None:
        if self._faults.loses_this_answer():
            self.log.event(call, "answer_lost", None)
        elif self._faults.answer_delay_ms > 0:
            delay_s = self._faults.answer_delay_ms / 1000
            call.timers.append(self._loop.call_later(delay_s, self._relay_answer, call, answered))
        else:
            self._relay_answer(call, answered)

    def _relay_answer(self, call: Call, answered: bytes) -> None:
        call.answer_relayed = True
        self.log.event(call, "answer_relayed", None)
        call.caller.send(answered)
        for held in call.held_behind_answer:
            call.caller.send(held)
        call.held_behind_answer.clear()

    def _start_grace(self, call: Call, side: CallSide) -> None:
        self.log.event(call, "connection_lost", side.user)
        side.stop_grace()
        side.grace = self._loop.call_later(RESUME_GRACE_S, self.end, call, "peer_lost", side.user)

    def _end_message(self, call: Call, reason: EndReason, by: str | None) -> bytes:
        return encode("call.ended", call_id=call.call_id, reason=reason, by=by)

    def _announce_end(self, call: Call) -> None:
        message = self._end_message(call, call.end_reason or "hangup", call.ended_by)
        if call.written is not None and call.written.exception() is not None:
            # People must be free for other calls; that the log lacks this end is said, not hidden.
            fields = {"call_id": call.call_id, "reason": call.end_reason, "by": call.ended_by, "logged": False}
            message = encode("call.ended", **fields)
        for device in {call.caller.connection, call.callee.connection, *call.ringing_on}:
            if device is not None:
                device.calls.discard(call.call_id)
                device.send(message)
        del self._live[call.call_id], self._engaged[call.caller.user], self._engaged[call.callee.user]
        self._remember(call.call_id, Ended((call.caller.user, call.callee.user), message))

    def _remember(self, call_id: str, ended: Ended) -> None:
        self._ended[call_id] = ended
        if len(self._ended) > REMEMBERED_ENDS:
            self._ended.popitem(last=False)


def illegal(message: CallMessage, why: str) -> Rejected:
    """Returns the refusal of a message that the call's state does not allow."""
    return Rejected("illegal_transition", why, call_id=message.call_id)

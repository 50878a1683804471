"""Handles the messages inside a call: relays them, and ends the call."""

from __future__ import annotations

import msgspec

from reference_service.calls.call import Call, CallPhase, CallSide, hold
from reference_service.calls.switchboard import Switchboard, illegal
from reference_service.connection import Connection
from reference_service.protocol import (
    CallCancel,
    CallCandidate,
    CallDecline,
    CallHangup,
    CallMedia,
    CallMessage,
    CallQuality,
    CallReanswer,
    CallReoffer,
    encode,
)


class InCallMessages:
    """Relays and endings. Messages that arrive after the end of their call are dropped."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard

    def candidate(self, device: Connection, message: CallCandidate) -> None:
        """Relays in order; a ringing device's own candidates wait for its answer."""
        call, side = self._switchboard.find(device, message)
        if call is None:
            return
        relayed = encode("call.candidate", call_id=call.call_id, candidate=message.candidate)
        if not call.is_before_answer:
            self._say(call, self._mine(call, side, device, message), relayed)
        elif side is call.caller:
            hold(call.before_answer, relayed)
            call.send_to_callee(relayed)
        else:
            hold(call.early.setdefault(device, []), relayed)

    def reoffer(self, device: Connection, message: CallReoffer) -> None:
        """Relays; when both offer at once the clients settle it (the caller's offer stands), so both pass."""
        call, side = self._in_talk(device, message)
        if call is None:
            return
        call.open_offers.add(side)
        call.media = message.media
        self._switchboard.log.event(call, "reoffered", side.user, media=message.media, reason=message.reason)
        fields = {"media": message.media, "sdp": message.sdp, "reason": message.reason}
        self._say(call, side, encode("call.reoffer", call_id=call.call_id, **fields))

    def reanswer(self, device: Connection, message: CallReanswer) -> None:
        """Closes the other side's offer, and the sender's own: who answers has rolled it back (RFC 8829, 5.7)."""
        call, side = self._in_talk(device, message)
        if call is None:
            return
        if call.other(side) not in call.open_offers:
            raise illegal(message, "there is no offer to answer")
        call.open_offers.clear()
        self._switchboard.log.event(call, "reanswered", side.user, media=message.media)
        self._say(call, side, encode("call.reanswer", call_id=call.call_id, media=message.media, sdp=message.sdp))

    def media(self, device: Connection, message: CallMedia) -> None:
        """Relays what the sender wants from now on; a caller may say so while it still rings."""
        call, side = self._switchboard.find(device, message)
        if call is None:
            return
        relayed = encode("call.media", call_id=call.call_id, media=message.media, reason=message.reason)
        if side is call.caller and call.is_before_answer:
            hold(call.on_answer, relayed)
        else:
            self._say(call, self._mine(call, side, device, message), relayed)
        self._switchboard.log.event(call, "media", side.user, media=message.media, reason=message.reason)

    def quality(self, device: Connection, message: CallQuality) -> None:
        """Relays and keeps a quality report."""
        call, side = self._in_talk(device, message)
        if call is None:
            return
        report = msgspec.structs.asdict(message)
        del report["call_id"]
        self._switchboard.log.event(call, "quality", side.user, **report)
        self._say(call, side, encode("call.quality", call_id=call.call_id, **report))

    def decline(self, device: Connection, message: CallDecline) -> None:
        """The callee declines, on all devices."""
        call, side = self._switchboard.find(device, message)
        if call is None:
            self._switchboard.tell_end(device, message)
        elif side is not call.callee or not call.is_before_answer:
            raise illegal(message, "only a callee who has not answered declines")
        else:
            self._switchboard.end(call, "declined", device.user)

    def cancel(self, device: Connection, message: CallCancel) -> None:
        """The caller cancels. A cancel that crosses the answer counts: the caller had not received the answer."""
        call, side = self._switchboard.find(device, message)
        if call is None:
            self._switchboard.tell_end(device, message)
        elif side is not call.caller:
            raise illegal(message, "only the caller cancels")
        else:
            self._switchboard.end(call, "canceled", device.user)

    def hangup(self, device: Connection, message: CallHangup) -> None:
        """Ends the call from any of the person's devices; before the answer it cancels or declines."""
        call, side = self._switchboard.find(device, message)
        if call is None:
            self._switchboard.tell_end(device, message)
        else:
            self.leave(call, side)

    def leave(self, call: Call, side: CallSide) -> None:
        """Ends ``call`` as ``side`` would, whatever its state."""
        if call.state is CallPhase.ANSWERED:
            self._switchboard.end(call, "hangup", side.user)
        else:
            self._switchboard.end(call, "canceled" if side is call.caller else "declined", side.user)

    def _in_talk(self, device: Connection, message: CallMessage) -> tuple[Call | None, CallSide]:
        call, side = self._switchboard.find(device, message)
        return call, side if call is None else self._mine(call, side, device, message)

    def _mine(self, call: Call, side: CallSide, device: Connection, message: CallMessage) -> CallSide:
        """Returns ``side`` when this device has the call, taking it up after a lost socket."""
        if call.state is not CallPhase.ANSWERED:
            raise illegal(message, f"the call is {call.state}")
        if side.connection is None:
            self._switchboard.adopt(call, side, device)
        elif side.connection is not device:
            raise illegal(message, "another of your devices has this call")
        return side

    def _say(self, call: Call, side: CallSide, message: bytes) -> None:
        if side is call.caller:
            call.send_to_callee(message)
        else:
            call.send_to_caller(message)

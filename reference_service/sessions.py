"""Serves one WebSocket from hello to close: signs the user in, then handles message after message."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from reference_service.connection import Connection
from reference_service.connection_limiter import ConnectionLimiter
from reference_service.error_output import print_exception
from reference_service.people.accounts import read_token
from reference_service.protocol import (
    AnyMessage,
    CallAnswer,
    CallCancel,
    CallCandidate,
    CallDecline,
    CallHangup,
    CallHistory,
    CallInvite,
    CallMedia,
    CallQuality,
    CallReanswer,
    CallReoffer,
    CallResume,
    CallRinging,
    CallShadow,
    ContactsList,
    ControlBlock,
    ControlGet,
    ControlReport,
    ControlSet,
    ControlUnblock,
    Hello,
    MessageSend,
    Ping,
    Rejected,
    ThreadList,
    ThreadRead,
    decode,
    encode,
    encode_error,
)
from reference_service.service import Service, now_ms
from reference_service.settings import HEARTBEAT_S, MAX_FRAME_BYTES, MAX_WELCOME_CONTACTS

CLOSE_BAD_TOKEN = 4401
CLOSE_NO_HELLO = 4408

Handler = Callable[[Connection, Any], Awaitable[None] | None]
Socket = web.WebSocketResponse[bool]


class Sessions:
    """Serves ``/ws``."""

    def __init__(self, service: Service, limiter: ConnectionLimiter) -> None:
        self._limiter = limiter
        self.errors: Counter[str] = Counter()
        """Errors sent to clients, by code."""
        self._service = service
        switchboard, in_call = service.switchboard, service.in_call
        messaging, controls = service.messaging, service.controls
        self._handlers: dict[type[AnyMessage], Handler] = {
            Hello: self._second_hello,
            Ping: lambda device, ping: device.send(encode("pong", n=ping.n)),
            ContactsList: self._list_contacts,
            MessageSend: messaging.send,
            ThreadList: messaging.list_threads,
            ThreadRead: messaging.read_thread,
            CallHistory: self._call_history,
            ControlGet: controls.get,
            ControlSet: controls.set,
            ControlBlock: controls.block,
            ControlUnblock: controls.unblock,
            ControlReport: controls.report,
            CallInvite: switchboard.invite,
            CallShadow: switchboard.shadow,
            CallRinging: switchboard.ringing,
            CallAnswer: switchboard.answer,
            CallResume: switchboard.resume,
            CallCandidate: in_call.candidate,
            CallDecline: in_call.decline,
            CallCancel: in_call.cancel,
            CallHangup: in_call.hangup,
            CallReoffer: in_call.reoffer,
            CallReanswer: in_call.reanswer,
            CallMedia: in_call.media,
            CallQuality: in_call.quality,
        }

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serves one socket until it closes."""
        socket: Socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, timeout=1.0, max_msg_size=MAX_FRAME_BYTES, autoping=True
        )
        await socket.prepare(request)
        self._limiter.awaits_hello(request)
        hello = await self._receive_hello(socket)
        if hello is None:
            return socket
        self._limiter.signed_in(request)
        user, client = hello
        if request.transport is None:
            return socket
        device = Connection(socket, user, client, request.transport, self._service.faults)
        presence, switchboard = self._service.presence, self._service.switchboard
        presence.add(device)
        try:
            device.send(self._welcome(user))
            switchboard.connection_opened(device)
            await self._handle_messages(socket, device)
        finally:
            presence.remove(device)
            switchboard.connection_lost(device)
            await device.finish()
        return socket

    async def _receive_hello(self, socket: Socket) -> tuple[str, str] | None:
        """Waits for ``hello``; returns (user, client), or None after closing the socket."""
        try:
            first = await socket.receive(timeout=self._service.settings.silence_s)
        except TimeoutError:
            await socket.close(code=CLOSE_NO_HELLO, message=b"no hello")
            return None
        if first.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            await socket.close()
            return None
        try:
            hello = decode(first.data)
            if not isinstance(hello, Hello):
                raise Rejected("hello_first", "the first message must be hello")
            directory = self._service.directory
            user = read_token(hello.token, directory.password_hash, now_ms() / 1000, directory.token_key)
            if user is None:
                raise Rejected("bad_token", "this token is not valid: sign in again")
        except Rejected as refusal:
            self.errors[refusal.code] += 1
            await socket.send_frame(encode_error(refusal), WSMsgType.TEXT)
            await socket.close(code=CLOSE_BAD_TOKEN, message=refusal.code.encode())
            return None
        return user, hello.client

    async def _handle_messages(self, socket: Socket, device: Connection) -> None:
        async for frame in socket:
            if frame.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            if device.is_closing:
                continue
            if self._service.faults.slow_ms:
                await asyncio.sleep(self._service.faults.slow_ms / 1000)
            if not device.allow_message():
                self._send_error(device, Rejected("rate_limited", "too many messages: wait a moment"))
                continue
            try:
                message = decode(frame.data)
                self._check_rate(message)
            except Rejected as refusal:
                self._send_error(device, refusal)
                continue
            try:
                waiting = self._handlers[type(message)](device, message)
                if waiting is not None:
                    await waiting
            except Rejected as refusal:
                self._send_error(device, refusal)
            except sqlite3.Error:  # the store has printed it
                self._send_error(
                    device,
                    Rejected(
                        "storage",
                        "the service cannot store or read this now",
                        ref=getattr(message, "ref", None),
                        call_id=getattr(message, "call_id", None),
                    ),
                )
            except Exception:  # a bug in the handling of one message must not end the session
                print_exception()
                self._send_error(device, Rejected("internal", "the service failed on this message"))

    def _send_error(self, device: Connection, refusal: Rejected) -> None:
        self.errors[refusal.code] += 1
        device.send(encode_error(refusal))

    def _check_rate(self, message: AnyMessage) -> None:
        """Applies the rate limit to calls and text messages. Raises Rejected."""
        if not isinstance(message, (CallInvite, CallShadow, MessageSend)):
            return
        kind = "message" if isinstance(message, MessageSend) else "call"
        retry_after_s = self._service.faults.over_rate(kind, asyncio.get_running_loop().time())
        if retry_after_s is not None:
            raise Rejected(
                "rate_limited",
                "too many of these for the service now: try again later",
                ref=getattr(message, "ref", None),
                call_id=getattr(message, "call_id", None),
                retry_after_s=retry_after_s,
            )

    def _welcome(self, name: str) -> bytes:
        user = self._service.directory.users[name]
        return encode(
            "welcome",
            user={"name": name, "display_name": user.display_name},
            contacts=self._contacts(name),
            ice_servers=[],
            policy={
                "degradation": self._service.faults.degradation,
                "no_answer_s": self._service.settings.no_answer_s,
                "audio_first": True,
            },
        )

    def _contacts(self, name: str) -> list[dict[str, object]]:
        """Returns contacts: those who may be called first, then those online, by name; at most MAX_WELCOME_CONTACTS."""
        directory, presence = self._service.directory, self._service.presence
        contacts = [
            {
                "name": other,
                "display_name": directory.users[other].display_name,
                "online": presence.is_online(other),
                "can_call": directory.may_call(name, other),
            }
            for other in directory.contacts(name)
        ]
        contacts.sort(key=lambda contact: (not contact["can_call"], not contact["online"], contact["name"]))
        return contacts[:MAX_WELCOME_CONTACTS]

    def _second_hello(self, _device: Connection, _hello: Hello) -> None:
        raise Rejected("illegal_transition", "hello was said already")

    def _list_contacts(self, device: Connection, request: ContactsList) -> None:
        device.send(encode("contacts", ref=request.ref, contacts=self._contacts(device.user)))

    async def _call_history(self, device: Connection, request: CallHistory) -> None:
        calls = await self._service.log.history(device.user, before_ms=request.before, limit=request.limit)
        device.send(encode("call.history", ref=request.ref, calls=calls))

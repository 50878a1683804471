"""Keeps one person's session with the reference service: messages in both directions, and reconnecting."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from bedrock.errors import TargetUnreachable
from calls.call.call_rules import SignalType
from calls.errors import ListNotReceived, NotDelivered, RateLimited, SignalingLost, SignInRefused
from calls.targets.lists import Page, PageRequest
from calls.targets.protocol import Listener, Policy
from calls.targets.reference_http import LONGEST_WAIT_S, ReferenceEndpoint
from calls.targets.reference_messages import Message, decode, encode, signal_of
from calls.targets.reference_pages import REPLIES, page_of, request_of
from calls.targets.reference_requests import Requests
from calls.targets.reference_socket import ReferenceSocket

if TYPE_CHECKING:
    from calls.media.access_link import AccessLink

logger = logging.getLogger(__name__)

PING_S = 15.0
RECONNECT_S = 4.0
"""How long to try to restore a lost connection with its calls. The service keeps a call for 5 s."""
RETRY_S = 0.25
"""Pause between two of these tries."""
BACKOFF_S = (1.0, 2.0, 4.0, 8.0)
"""Pauses between later tries; the last repeats. Each is extended randomly by up to a half."""
FRAME_BYTES = 8
"""WebSocket header and mask of a message."""
_REPLIES = REPLIES | {"message.ack"}


class ReferenceSession:
    """One person's connection, restored when it breaks."""

    def __init__(
        self, endpoint: ReferenceEndpoint, name: str, password: str, listener: Listener, link: AccessLink | None
    ) -> None:
        self.policy = Policy(degradation=False, no_answer_s=None)
        self.rtt_ms: float | None = None
        self.is_up = False
        self.refused: SignInRefused | None = None
        """Why the service has not accepted the sign-in yet, while we wait to retry."""
        self._not_before_s = 0.0
        """The service asked to start nothing before this time."""
        self._offline_s = 0.0
        self._endpoint = endpoint
        self._name, self._password = name, password
        self._listener = listener
        self._link = link
        self._token = ""
        self._socket = ReferenceSocket(endpoint.url, name)
        self._calls: set[str] = set()
        self._requests = Requests()
        self._pings: dict[int, float] = {}
        self._ponged = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Signs in; returns when the service has sent its greeting and answered one ping."""
        self._token = await self._fetch_token()
        await self._connect()
        self._task = asyncio.create_task(self._serve_sockets(), name=f"session {self._name}")
        self._ping()
        await self._ponged.wait()

    # Messages of the person.

    def invite(self, call_id: str, to: str, media: str, sdp: str) -> None:
        """Calls ``to``."""
        self._calls.add(call_id)
        self._start("call.invite", call_id=call_id, to=to, media=media, sdp=sdp)

    def shadow(self, call_id: str, to: str, media: str, sdp: str) -> None:
        """Has a call checked and routed without ringing anybody."""
        self._start("call.shadow", call_id=call_id, to=to, media=media, sdp=sdp)

    def ring(self, call_id: str) -> None:
        """Tells the caller that the callee's device rings."""
        self._say("call.ringing", call_id=call_id)

    def answer(self, call_id: str, media: str, sdp: str) -> None:
        """Answers the call."""
        self._say("call.answer", call_id=call_id, media=media, sdp=sdp)

    def decline(self, call_id: str) -> None:
        """Declines the call."""
        self._say("call.decline", call_id=call_id)

    def cancel(self, call_id: str) -> None:
        """Cancels before the answer."""
        self._say("call.cancel", call_id=call_id)

    def hang_up(self, call_id: str) -> None:
        """Ends an answered call."""
        self._say("call.hangup", call_id=call_id)

    def reoffer(self, call_id: str, media: str, sdp: str, reason: str) -> None:
        """Sends a new offer inside the call."""
        self._say("call.reoffer", call_id=call_id, media=media, sdp=sdp, reason=reason)

    def break_off(self, *, offline_s: float = 0.0) -> None:
        """Cuts the connection without a message. It reconnects at once, or after ``offline_s`` without its calls."""
        self._offline_s = offline_s
        self.is_up = False
        self._requests.fail_tied("offline")
        if offline_s:
            self._calls.clear()
            self._requests.fail()
        self._socket.cut()

    def reanswer(self, call_id: str, media: str, sdp: str) -> None:
        """Answers an offer made inside the call."""
        self._say("call.reanswer", call_id=call_id, media=media, sdp=sdp)

    def want_media(self, call_id: str, media: str, reason: str) -> None:
        """Tells the far end what this side sends and wants from now on."""
        self._say("call.media", call_id=call_id, media=media, reason=reason)

    async def send_text(self, to: str, text: str, timeout_s: float) -> None:
        """Sends a text; returns when the service has acknowledged it. Raises NotDelivered."""
        with self._requests.open() as (ref, acked):
            self._start("message.send", ref=ref, to=to, text=text)
            try:
                async with asyncio.timeout(timeout_s):
                    await acked
            except TimeoutError:
                raise NotDelivered(f"no acknowledgement within {timeout_s:.0f} s", code="ack_timeout") from None

    async def fetch_page(self, look: PageRequest, timeout_s: float) -> Page:
        """Returns the requested page. Raises ListNotReceived.

        Like the web client, it does not ask without a connection, and does not repeat the request on the next one.
        """
        if not self.is_up:
            raise ListNotReceived(f"{self._name} is offline", code="offline")
        kind, fields = request_of(look)
        with self._requests.open(tied=True) as (ref, reply):
            self._start(kind, ref=ref, **fields)
            try:
                async with asyncio.timeout(timeout_s):
                    return page_of(look, await reply)
            except TimeoutError:
                raise ListNotReceived(f"no {kind} within {timeout_s:.0f} s", code="no_reply") from None
            except NotDelivered as error:
                raise ListNotReceived(error.message, code=error.code) from None
            except msgspec.DecodeError as error:
                raise ListNotReceived(f"the answer to {kind} is no page: {error}", code="garbage") from None

    async def close(self) -> None:
        """Signs out within a bounded time. Safe to call twice."""
        self._closed = True
        if self.is_up:
            await self._socket.flush_unsent()
        self.is_up = False
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._socket.drop()
        self._requests.fail_tied("offline")
        self._requests.fail()

    # The connection.

    async def _connect(self) -> None:
        """Opens the socket and waits for the greeting. Raises TargetUnreachable or SignInRefused."""
        greeting = await self._socket.connect(self._endpoint.http, self._token)
        assert greeting.policy is not None, "no greeting is without one"
        self.policy = Policy(greeting.policy.degradation, greeting.policy.no_answer_s)
        self.is_up = True

    async def _serve_sockets(self) -> None:
        """Serves one socket after the other until the session is closed."""
        while not self._closed:
            try:
                await self._socket.serve(self._receive, self._listener.on_garbage, self._keep_pinging())
            except (aiohttp.ClientError, OSError, SignalingLost) as error:
                logger.info("%s: the connection broke: %s", self._name, error)
            self.is_up = False
            self._requests.fail_tied()
            await self._socket.drop()
            offline_s, self._offline_s = self._offline_s, 0.0
            await asyncio.sleep(offline_s)
            if not await self._reconnect(RECONNECT_S):
                await self._give_up_calls()

    async def _keep_pinging(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            self._ping()

    async def _reconnect(self, timeout_s: float) -> bool:
        """Reconnects and resumes the calls; gives up after ``timeout_s``."""
        renewed = False
        try:
            async with asyncio.timeout(timeout_s):
                while not self.is_up:
                    try:
                        if not self._token:
                            self._token = await self._fetch_token()
                        await self._connect()
                    except SignInRefused:
                        # Tokens expire. A client that knows the password gets a new one before it gives up the calls.
                        if renewed:
                            raise
                        renewed, self._token = True, ""
                    except TargetUnreachable:
                        await asyncio.sleep(RETRY_S)
        except SignInRefused:
            self._token = ""
            return False
        except TimeoutError:
            return False
        for call_id in self._calls:
            self._say("call.resume", call_id=call_id)
            self._listener.on_resuming(call_id)
        return True

    async def _fetch_token(self) -> str:
        """Returns a token; retries when the service asks for it. Raises as ``fetch_token`` does."""
        while True:
            try:
                return await self._endpoint.fetch_token(self._name, self._password)
            except RateLimited as limited:
                self.refused = limited
                # Spread in time: a simultaneous retry of everybody would be refused again.
                await asyncio.sleep(limited.retry_after_s * random.uniform(1.0, 2.0))

    async def _give_up_calls(self) -> None:
        """Gives up the current calls, then keeps trying to get back online."""
        self._calls.clear()
        self._requests.fail()
        self._socket.forget_unsent()
        self._listener.on_lost()
        for attempt in range(1_000_000_000):
            pause_s = BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]
            # Spread in time: a simultaneous return of everybody could bring the service down again.
            await asyncio.sleep(pause_s * random.uniform(1.0, 1.5))
            with contextlib.suppress(TargetUnreachable, SignInRefused):
                if not self._token:
                    self._token = await self._fetch_token()
                if await self._reconnect(RECONNECT_S):
                    return

    # Messages.

    def _start(self, kind: str, **fields: object) -> None:
        """Sends a message that starts something, but not before the service allows it."""
        ahead_s = self._not_before_s - self._endpoint.clock.monotonic_s()
        if ahead_s > 0:
            asyncio.get_running_loop().call_later(ahead_s, lambda: self._say(kind, **fields))
        else:
            self._say(kind, **fields)

    def _say(self, kind: str, **fields: object) -> None:
        if self._closed:
            return
        text = encode(kind, **fields)
        if self._link is None:
            self._socket.say(text)
        else:
            self._link.send_up_reliable(len(text) + FRAME_BYTES, lambda: self._socket.say(text))

    def _receive(self, data: str | bytes) -> None:
        if self._link is None:
            self._take(data)
        else:
            self._link.send_down_reliable(len(data) + FRAME_BYTES, lambda: self._take(data))

    def _take(self, data: str | bytes) -> None:
        if self._closed:
            return
        try:
            message = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.warning("%s: not a message of the service: %s", self._name, error)
            self._listener.on_garbage(str(error))
            return
        if message.code == "rate_limited" and message.retry_after_s is not None:
            wait_s = min(max(0.0, message.retry_after_s), LONGEST_WAIT_S)
            self._not_before_s = self._endpoint.clock.monotonic_s() + wait_s
        if message.type == "pong":
            self._pong(message)
        elif message.type in _REPLIES or (message.type == "error" and isinstance(message.ref, int)):
            self._requests.settle(message, data)
        elif (signal := signal_of(message, self._name)) is not None:
            if signal.what is SignalType.INCOMING:
                self._calls.add(signal.call_id)
            elif signal.what in {SignalType.ENDED, SignalType.REFUSED}:
                self._calls.discard(signal.call_id)
            self._listener.on_signal(signal)

    def _ping(self) -> None:
        number = self._requests.new_ref()
        self._pings = {number: self._endpoint.clock.monotonic_s()}
        self._say("ping", n=number)

    def _pong(self, message: Message) -> None:
        sent_at_s = self._pings.pop(int(message.n), None) if message.n is not None else None
        if sent_at_s is not None:
            self.rtt_ms = (self._endpoint.clock.monotonic_s() - sent_at_s) * 1000.0
            self._ponged.set()

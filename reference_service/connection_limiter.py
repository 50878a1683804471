"""Limits connections without a signed-in user: how many there are, how long they stay, how much they send.

A silent connection costs a descriptor and memory, and a thousand of them would keep everybody else out. The limiter
sits between the listening socket and aiohttp until a user has signed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from aiohttp import web

IDLE_FACTOR = 3.0
"""Between two requests a client may be silent this many times longer. It must also have read the answer by then."""
MAX_HEAD_BYTES = 64 * 1024
LAST_RESORT_S = 2.0
"""A socket without ``hello`` gets a close frame. After this much longer it is cut."""


class Handler(Protocol):
    """aiohttp's side of one connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: BaseException | None) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class UnauthenticatedConnection(asyncio.Protocol):
    """One connection on which nobody has signed in yet."""

    def __init__(self, limiter: ConnectionLimiter, handler: Handler) -> None:
        self.handler = handler
        self.transport: asyncio.Transport | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.head_bytes = 0
        """Sent before the end of the first request's headers."""
        self._tail: bytes | None = b""
        """The last bytes sent, until that end was seen."""
        self._limiter = limiter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._limiter.entered(self)
        self.handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._tail is not None:
            joined = self._tail + data
            self._tail = None if b"\r\n\r\n" in joined else joined[-3:]
            self.head_bytes += len(data)
            if self._tail is not None and self.head_bytes > MAX_HEAD_BYTES:
                self._limiter.turn_away(self)
                return
        self.handler.data_received(data)

    def eof_received(self) -> bool | None:
        return self.handler.eof_received()

    def pause_writing(self) -> None:
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        self.handler.resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._limiter.left(self)
        self.handler.connection_lost(exc)

    def drop(self) -> None:
        """Cuts the connection without an answer."""
        if self.transport is not None:
            self.transport.abort()


class ConnectionLimiter:
    """Holds every connection without a signed-in user. All of it runs on the event loop."""

    def __init__(self, max_waiting: int, silence_s: float) -> None:
        """``silence_s`` is how long a fresh connection may take to the end of its first request's headers."""
        self.turned_away = 0
        """Connections cut for their silence, their size, or their number."""
        self._max_waiting = max_waiting
        self._silence_s = silence_s
        self._visitors: dict[object, UnauthenticatedConnection] = {}
        self._silent: dict[UnauthenticatedConnection, None] = {}
        """Connections without a complete request, or a WebSocket without ``hello``; longest silent first."""
        self._idle: dict[UnauthenticatedConnection, None] = {}
        """Connections between two requests."""

    def factory(self, make_handler: Callable[[], object]) -> Callable[[], asyncio.Protocol]:
        """Returns the protocol factory of the listening sockets. ``make_handler`` makes aiohttp's protocol."""
        return lambda: UnauthenticatedConnection(self, cast("Handler", make_handler()))

    def entered(self, visitor: UnauthenticatedConnection) -> None:
        """Adds a new connection. When there are too many, the longest silent one is cut."""
        self._visitors[visitor.handler] = visitor
        self._wait(visitor, self._silent, self._silence_s)

    def heard(self, request: web.BaseRequest) -> None:
        """A complete request arrived. Its handler has time limits of its own."""
        if visitor := self._visitors.get(request.protocol):
            self._stop_waiting(visitor)

    def answered(self, request: web.BaseRequest) -> None:
        """The request was answered. The connection may send another one."""
        if visitor := self._visitors.get(request.protocol):
            self._wait(visitor, self._idle, self._silence_s * IDLE_FACTOR)

    def awaits_hello(self, request: web.BaseRequest) -> None:
        """The request opened a WebSocket, on which nobody has signed in yet."""
        if visitor := self._visitors.get(request.protocol):
            self._wait(visitor, self._silent, self._silence_s + LAST_RESORT_S)

    def signed_in(self, request: web.BaseRequest) -> None:
        """Removes itself: from now on the transport calls aiohttp directly."""
        visitor = self._visitors.pop(request.protocol, None)
        if visitor is not None:
            self._stop_waiting(visitor)
            if visitor.transport is not None:
                visitor.transport.set_protocol(cast("asyncio.BaseProtocol", visitor.handler))

    def left(self, visitor: UnauthenticatedConnection) -> None:
        """The connection is gone."""
        self._stop_waiting(visitor)
        self._visitors.pop(visitor.handler, None)

    def _wait(
        self, visitor: UnauthenticatedConnection, queue: dict[UnauthenticatedConnection, None], at_most_s: float
    ) -> None:
        self._stop_waiting(visitor)
        queue[visitor] = None
        visitor.timer = asyncio.get_running_loop().call_later(at_most_s, self.turn_away, visitor)
        if self.waiting > self._max_waiting:
            self.turn_away(next(iter(self._silent or self._idle)))

    def turn_away(self, visitor: UnauthenticatedConnection) -> None:
        """Cuts a connection and counts it."""
        self.turned_away += 1
        self._stop_waiting(visitor)
        visitor.drop()

    def _stop_waiting(self, visitor: UnauthenticatedConnection) -> None:
        self._silent.pop(visitor, None)
        self._idle.pop(visitor, None)
        if visitor.timer is not None:
            visitor.timer.cancel()
            visitor.timer = None

    @property
    def waiting(self) -> int:
        """Connections that have not sent their first, or their next, request yet."""
        return len(self._silent) + len(self._idle)

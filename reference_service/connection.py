"""Wraps one WebSocket of a signed-in user: ``send`` never waits, and a client that does not read is cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from aiohttp import WSCloseCode, WSMsgType, web

from reference_service.faults import Faults
from reference_service.settings import RATE_BURST, RATE_PER_S

MAX_UNSENT_BYTES = 4 * 1024 * 1024
"""More than this waiting for one socket means that the client does not read."""

CLOSE_WITHIN_S = 5.0
"""How long a socket may take to send its queue before it is closed."""

EVICT_WITHIN_S = 0.2


class Connection:
    """A signed-in socket of ``user``. Messages leave in the order of ``send``."""

    def __init__(
        self,
        socket: web.WebSocketResponse[bool],
        user: str,
        client: str,
        transport: asyncio.Transport,
        faults: Faults,
    ) -> None:
        self.user = user
        self.client = client
        self.calls: set[str] = set()
        """Ids of the live calls that this socket takes part in or rings for."""
        self.is_gone = False
        self._faults = faults
        self._socket = socket
        self._transport = transport
        self.local_address = str((transport.get_extra_info("sockname") or ("",))[0])
        """The address of this service that the client connected to."""
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._wake = asyncio.Event()
        self._closing: tuple[int, str] | None = None
        self._last_resort: asyncio.TimerHandle | None = None
        self._tokens = RATE_BURST
        self._tokens_at_s = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._pump())

    def send(self, message: bytes) -> None:
        """Queues one encoded message."""
        if self._closing is not None:
            return
        self._unsent_bytes += len(message)
        if self._unsent_bytes > MAX_UNSENT_BYTES:
            self.drop()
            return
        self._unsent.append(message)
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Sends the queue, then closes the socket. A client that does not read is cut after 5 s."""
        if self._closing is None:
            self._closing = (code, reason)
            self._wake.set()
            self._last_resort = asyncio.get_running_loop().call_later(CLOSE_WITHIN_S, self.drop)

    @property
    def is_closing(self) -> bool:
        """Whether the socket is closing: messages that still arrive are ignored."""
        return self._closing is not None

    def evict(self, code: int, reason: str) -> None:
        """Closes within 0.2 s, so that a burst of new sockets cannot exceed the limit for long."""
        self.close(code, reason)
        if self._last_resort is not None:
            self._last_resort.cancel()
        self._last_resort = asyncio.get_running_loop().call_later(EVICT_WITHIN_S, self.drop)

    def drop(self) -> None:
        """Cuts the TCP connection at once, for a client that does not read any more."""
        self._closing = (WSCloseCode.ABNORMAL_CLOSURE, "")
        self._unsent.clear()
        self._transport.abort()

    def allow_message(self) -> bool:
        """Whether the client may send one more message now (a token bucket)."""
        now_s = asyncio.get_running_loop().time()
        self._tokens = min(RATE_BURST, self._tokens + (now_s - self._tokens_at_s) * RATE_PER_S)
        self._tokens_at_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    async def finish(self) -> None:
        """Stops sending, after the socket has gone."""
        if self._last_resort is not None:
            self._last_resort.cancel()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def wait_closed(self, timeout_s: float) -> None:
        """Waits until everything queued has left and the close handshake is over, or ``timeout_s``."""
        await asyncio.wait({self._task}, timeout=timeout_s)

    async def _pump(self) -> None:
        try:
            while True:
                while self._unsent:
                    message = self._unsent.popleft()
                    self._unsent_bytes -= len(message)
                    await self._socket.send_frame(self._faults.corrupt_if_due(message), WSMsgType.TEXT)
                if self._closing is not None:
                    code, reason = self._closing
                    await self._socket.close(code=code, message=reason.encode())
                    return
                self._wake.clear()
                await self._wake.wait()
        except (ConnectionError, RuntimeError):
            return  # the socket is gone; its reader informs the rest of the service

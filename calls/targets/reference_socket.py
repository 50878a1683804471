"""Keeps one person's WebSocket to the reference service. Unsent messages go out on the next socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket as sockets
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import msgspec

from calls.errors import NotTheService, SignalingLost, SignInRefused
from calls.targets.reference_http import unreachable
from calls.targets.reference_messages import Message, decode, encode

SILENT_S = 50.0
"""A socket that receives nothing for this long, although we ping, counts as dead. A 2G queue holds far less."""
GOODBYE_S = 0.5
_CLOSE_S = 2.0
MAX_MESSAGE_BYTES = 4 * 1024 * 1024


class ReferenceSocket:
    """Has a socket from ``connect`` to ``drop``. Messages that were not sent go out on the next one."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._unsent: asyncio.Queue[str] = asyncio.Queue()
        self._being_sent: str | None = None
        """Taken from the queue and not known to be sent: the next socket sends it again."""

    def say(self, text: str) -> None:
        """Sends ``text`` after all earlier messages."""
        self._unsent.put_nowait(text)

    def forget_unsent(self) -> None:
        """Drops the messages that were not sent."""
        self._mark_sent()
        while not self._unsent.empty():
            self._unsent.get_nowait()
            self._unsent.task_done()

    async def flush_unsent(self) -> None:
        """Waits a moment for the last messages to leave."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._unsent.join(), GOODBYE_S)

    async def connect(self, http: aiohttp.ClientSession, token: str) -> Message:
        """Opens a socket and returns the service's greeting. Raises TargetUnreachable or SignInRefused."""
        try:
            self._socket = await http.ws_connect(
                self._url.replace("http", "ws", 1) + "/ws", max_msg_size=MAX_MESSAGE_BYTES
            )
            await self._socket.send_str(encode("hello", token=token, client="ringfence engine"))
            frame = await self._socket.receive()
            greeting = decode(frame.data) if frame.type is aiohttp.WSMsgType.TEXT else Message(type="")
        except (aiohttp.ClientError, OSError, msgspec.DecodeError) as error:
            await self.drop()
            raise unreachable(self._url, "does not open a WebSocket", error) from None
        if greeting.type == "error":
            raise SignInRefused(f"the service does not greet {self._name}", code=str(greeting.code))
        if greeting.type != "welcome" or greeting.policy is None:
            raise NotTheService(f"{self._url} answers, but not as the reference service")
        return greeting

    async def serve(
        self,
        received: Callable[[str | bytes], None],
        gave_up: Callable[[str], None],
        beside: Coroutine[Any, Any, None],
    ) -> None:
        """Sends and receives until the socket ends; ``beside`` runs as long. Raises SignalingLost, or as aiohttp does.

        ``gave_up`` is called with a frame error that makes us close the connection.
        """
        socket = self._socket
        if socket is None:
            beside.close()
            raise SignalingLost("the connection is not open")
        writer, alongside = asyncio.create_task(self._write(socket)), asyncio.create_task(beside)
        try:
            while True:
                # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with a frame.
                async with asyncio.timeout(SILENT_S):
                    frame = await socket.receive()
                if frame.type is aiohttp.WSMsgType.ERROR:
                    gave_up(f"the connection was given up: {frame.data}")
                if frame.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    return
                received(frame.data)
        except TimeoutError:
            raise SignalingLost(f"silent for {SILENT_S:.0f} s") from None
        finally:
            for task in (writer, alongside):
                task.cancel()
            await asyncio.gather(writer, alongside, return_exceptions=True)

    def cut(self) -> None:
        """Ends the TCP connection under the WebSocket without its close frame."""
        carrier = self._socket.get_extra_info("socket") if self._socket is not None else None
        if carrier is not None and carrier.fileno() >= 0:
            with contextlib.suppress(OSError), sockets.socket(fileno=os.dup(carrier.fileno())) as own:
                own.shutdown(sockets.SHUT_RDWR)

    async def drop(self) -> None:
        """Closes the socket within a bounded time."""
        socket, self._socket = self._socket, None
        if socket is not None:
            with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
                async with asyncio.timeout(_CLOSE_S):
                    await socket.close()

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while True:
                if self._being_sent is None:
                    self._being_sent = await self._unsent.get()
                await socket.send_str(self._being_sent)
                self._mark_sent()
        except (aiohttp.ClientError, OSError):
            await socket.close()

    def _mark_sent(self) -> None:
        if self._being_sent is not None:
            self._being_sent = None
            self._unsent.task_done()

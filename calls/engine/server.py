"""Serves the engine's end of the bridge: each command in a task of its own; replies and events in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import zmq
import zmq.asyncio

from calls.bridge.messages import AnyCommand, AnyEvent, AnyReply, FromEngine, Refused, ToEngine
from calls.engine.engine import Engine

logger = logging.getLogger(__name__)

CarryOut = Callable[[AnyCommand], Awaitable[AnyReply]]

LINGER_MS = 1000
"""How long the last reply may take to leave."""


class Server:
    """Listens on ``ipc`` from the start. One driver: events go to the last one that sent a command."""

    def __init__(self, ipc: str) -> None:
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.bind(ipc)
        self._driver: bytes | None = None
        self._outgoing: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._decoder = msgspec.msgpack.Decoder(ToEngine)
        self._encoder = msgspec.msgpack.Encoder()

    def tell(self, event: AnyEvent) -> None:
        """Sends an event to the driver, if there is one."""
        if self._driver is not None:
            self._post(self._driver, 0, event)

    async def serve(self, engine: Engine) -> None:
        """Carries out commands until the engine shuts down; returns when the last reply is sent."""
        sender = asyncio.create_task(self._send(), name="bridge sender")
        receiver = asyncio.create_task(self._receive(engine.carry_out), name="bridge receiver")
        stopping = asyncio.create_task(engine.stopping.wait(), name="stopping")
        try:
            working: set[asyncio.Task[Any]] = {sender, receiver, stopping}
            done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await asyncio.wait_for(self._outgoing.join(), LINGER_MS / 1000.0)
        finally:
            working = {sender, receiver, stopping, *self._tasks}
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()
        self._context.term()

    async def _receive(self, carry_out: CarryOut) -> None:
        while True:
            identity, data = await self._socket.recv_multipart()
            self._driver = identity
            try:
                message = self._decoder.decode(data)
            except msgspec.DecodeError as error:
                logger.error("not a command: %s", error)
                continue
            task = asyncio.create_task(self._answer(carry_out, identity, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, carry_out: CarryOut, identity: bytes, message: ToEngine) -> None:
        try:
            reply = await carry_out(message.command)
        except Exception as error:
            logger.exception("%s failed", type(message.command).__name__)
            reply = Refused(code="engine_fault", message=f"{type(error).__name__}: {error}")
        self._post(identity, message.request_id, reply)

    def _post(self, identity: bytes, request_id: int, body: AnyReply | AnyEvent) -> None:
        self._outgoing.put_nowait((identity, self._encoder.encode(FromEngine(request_id, body))))

    async def _send(self) -> None:
        while True:
            identity, data = await self._outgoing.get()
            await self._socket.send_multipart((identity, data))
            self._outgoing.task_done()

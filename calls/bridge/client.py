"""Starts an engine process and talks to it. Works in plain threads and in greenlets under gevent's patches.

One thread (a greenlet, when patched) owns the socket. It sleeps until the engine sends a message, a command waits, or
the engine's pidfd reports its death. Nothing polls. Every waiter gets an answer, a typed error, or its own timeout.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import zmq

from bedrock import crash
from bedrock.child_process import ChildProcess
from bedrock.child_process import spawn as spawn_process
from bedrock.clock import Clock, SystemClock
from bedrock.errors import EnvironmentLacks
from bedrock.scratch import ScratchFolder
from calls.bridge.closing import ENGINE_MARGIN_S, ClosingWatch
from calls.bridge.messages import (
    PROTOCOL,
    AnyCommand,
    AnyEvent,
    AnyReply,
    Drain,
    Drained,
    EngineHealth,
    Event,
    FromEngine,
    Refused,
    Reply,
    Shutdown,
    StillClosing,
    ToEngine,
)
from calls.errors import BridgeError, EngineGone, EngineRefused, EngineSilent

logger = logging.getLogger(__name__)

READY_S = 120.0
"""A busy machine needs a while to start Python and import everything. An engine that cannot start exits and says
why."""
SILENT_S = ENGINE_MARGIN_S
"""A configured engine writes a health row every second. One that sends nothing for this long is stuck."""
EVENTS_KEPT = 20_000
EXIT_S = 15.0
"""For the process to exit after it has said that everything is written."""
LOOK_S = 0.2

OnEvent = Callable[[AnyEvent], None]


class EngineClient:
    """One engine process. Any thread or greenlet may call the public methods."""

    def __init__(
        self,
        child: ChildProcess,
        folder: ScratchFolder,
        zmq_module: ModuleType,
        on_event: OnEvent | None,
        silent_s: float = SILENT_S,
        clock: Clock | None = None,
    ) -> None:
        self.child = child
        self.events: queue.Queue[AnyEvent] = queue.Queue()
        """Events of the engine when no ``on_event`` was given: the newest 20,000."""
        self.failure: BridgeError | None = None
        """Why the engine is gone; None while it runs."""
        self._folder = folder
        self._ipc = _ipc(folder)
        self._zmq = zmq_module
        self._on_event = on_event
        self._silent_s = silent_s
        self._ids = itertools.count(1)
        self._waiting: dict[int, Future[AnyReply]] = {}
        self._unsent: deque[bytes] = deque()
        self._guard = threading.Lock()
        self._closing = False
        self._watch = ClosingWatch(clock or SystemClock(), ENGINE_MARGIN_S)
        self._beats = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(FromEngine)
        self._thread = threading.Thread(target=self._serve, name=f"bridge {child.name}", daemon=True)
        self._thread.start()

    @classmethod
    def spawn(
        cls,
        run_folder: Path,
        run_id: str,
        writer: str,
        role: str,
        *,
        zmq_module: ModuleType = zmq,
        log_path: Path | None = None,
        on_event: OnEvent | None = None,
        silent_s: float = SILENT_S,
    ) -> EngineClient:
        """Starts an engine and returns its client when it is ready.

        ``role`` is ``engine`` or ``matrix_engine``. A configured engine that sends nothing for ``silent_s`` is given
        up. ``on_event`` runs on the client's own thread and must not block. The engine dies with the thread that calls
        this method. Raises EnvironmentLacks when the engine does not become ready.
        """
        folder = ScratchFolder()
        argv = [sys.executable, "-m", "calls.engine", "--ipc", _ipc(folder), "--run-folder", str(run_folder)]
        argv += ["--run-id", run_id, "--writer", writer, "--role", role]
        log_path = log_path or run_folder / "logs" / f"engine-{writer}.log"
        child = spawn_process(f"engine {writer}", argv, log_path=log_path, pipe_stdout=True)
        try:
            ready = child.wait_ready(READY_S)
            if ready.get("protocol") != PROTOCOL:
                raise EnvironmentLacks(f"engine {writer} speaks protocol {ready.get('protocol')}, not {PROTOCOL}")
            return cls(child, folder, zmq_module, on_event, silent_s)
        except BaseException:
            child.stop(timeout_s=1.0)
            folder.remove()
            raise

    @property
    def pid(self) -> int:
        """Process id of the engine."""
        return self.child.pid

    def submit(self, command: AnyCommand) -> Future[AnyReply]:
        """Sends ``command``; the future gets its reply.

        The future raises EngineRefused for an error reply and EngineGone when the engine ends. This method never
        raises.
        """
        future: Future[AnyReply] = Future()
        request_id = next(self._ids)
        data = self._encoder.encode(ToEngine(request_id, command))
        with self._guard:
            if self.failure is not None:
                future.set_exception(self.failure)
                return future
            self._waiting[request_id] = future
            self._unsent.append(data)
            os.eventfd_write(self._wake, 1)
        return future

    def request(self, command: AnyCommand, timeout_s: float) -> Any:
        """Returns the reply to ``command``.

        Raises EngineRefused, EngineGone, or EngineSilent when the engine runs but did not reply in time.
        """
        future = self.submit(command)
        try:
            return future.result(timeout_s)
        except FutureTimeout:
            future.cancel()
            raise EngineSilent(
                f"{self.child.name} did not answer {type(command).__name__} within {timeout_s:g} s"
            ) from None

    def is_alive(self) -> bool:
        """Returns whether the engine runs, as far as this client knows."""
        return self.failure is None

    def drain(self, grace_s: float) -> Drained:
        """Stops new calls, lets running calls end for ``grace_s``, hangs up the rest, and writes all rows.

        Waits as long as the engine makes progress. Raises EngineGone, or EngineSilent when it makes none.
        """
        drained: Drained = self._end_with(Drain(timeout_s=grace_s))
        return drained

    def close(self, timeout_s: float | None = None) -> None:
        """Ends the engine with its files flushed, and the client. Safe to call twice.

        Waits as long as the engine makes progress; with ``timeout_s`` no longer than that.
        """
        if self.failure is None:
            with contextlib.suppress(BridgeError):
                if timeout_s is None:
                    self._end_with(Shutdown())
                else:
                    self.request(Shutdown(), timeout_s)
        with self._guard:
            closed, self._closing = self._closing, True
            if not closed:
                os.eventfd_write(self._wake, 1)
        self._thread.join()
        self.child.stop(EXIT_S if timeout_s is None else timeout_s)
        if not closed:
            os.close(self._wake)
            self._folder.remove()

    def _end_with(self, command: Drain | Shutdown) -> Any:
        self._watch.begin()
        future = self.submit(command)
        while True:
            try:
                return future.result(LOOK_S)
            except FutureTimeout:
                if not self._watch.is_overdue:
                    continue
            future.cancel()
            raise EngineSilent(f"{self.child.name} is stuck in {type(command).__name__}: {self._watch.in_words()}")

    def _serve(self) -> None:
        context = self._zmq.Context()
        socket = context.socket(self._zmq.DEALER)
        socket.setsockopt(self._zmq.LINGER, 0)
        socket.setsockopt(self._zmq.SNDHWM, 0)
        socket.setsockopt(self._zmq.RCVHWM, 0)
        pidfd = os.pidfd_open(self.child.pid)
        try:
            socket.connect(self._ipc)
            reason = self._exchange(socket, pidfd)
        except Exception as error:
            logger.exception("the bridge to %s broke", self.child.name)
            reason = f"the bridge broke: {error}"
        finally:
            os.close(pidfd)
            socket.close()
            context.term()
        self._fail(reason)

    def _exchange(self, socket: Any, pidfd: int) -> str:
        """Passes messages in both directions. Returns why it ended."""
        poller = self._zmq.Poller()
        for source in (socket, pidfd, self._wake):
            poller.register(source, self._zmq.POLLIN)
        heard_at_s = time.monotonic()
        while True:
            left_s = heard_at_s + self._silent_s - time.monotonic()
            ready = dict(poller.poll(max(0.0, left_s) * 1000.0 if self._beats else None))
            if self._wake in ready:
                os.eventfd_read(self._wake)
            while self._unsent:
                socket.send(self._unsent.popleft())
            if self._drain_socket(socket):
                heard_at_s = time.monotonic()
            if pidfd in ready:
                self._drain_socket(socket)
                return f"it {crash.describe_exit(self.child.popen.wait(), self.child.pid)}"
            if self._closing:
                return "it was closed"
            if not ready and self._beats and time.monotonic() >= heard_at_s + self._silent_s:
                return f"it sent nothing for {self._silent_s:.0f} s"

    def _drain_socket(self, socket: Any) -> bool:
        heard = False
        while True:
            try:
                data = socket.recv(self._zmq.NOBLOCK)
            except self._zmq.Again:
                return heard
            heard = True
            message = self._decoder.decode(data)
            if isinstance(message.body, Event):
                self._tell(message.body)
            elif isinstance(message.body, Reply):
                self._resolve(message.request_id, message.body)

    def _tell(self, event: AnyEvent) -> None:
        self._beats = self._beats or isinstance(event, EngineHealth)
        if isinstance(event, StillClosing):
            self._watch.hear(event.step, event.left, event.limit_s)
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception:
                logger.exception("a listener to %s failed", self.child.name)
            return
        self.events.put_nowait(event)
        if self.events.qsize() > EVENTS_KEPT:
            with contextlib.suppress(queue.Empty):
                self.events.get_nowait()

    def _resolve(self, request_id: int, reply: AnyReply) -> None:
        future = self._waiting.pop(request_id, None)
        if future is None:
            return
        # The waiter may have given up meanwhile.
        with contextlib.suppress(InvalidStateError):
            if isinstance(reply, Refused):
                future.set_exception(EngineRefused(reply.message, code=reply.code, hint=reply.hint))
            else:
                future.set_result(reply)

    def _fail(self, reason: str) -> None:
        with self._guard:
            self.failure = EngineGone(f"{self.child.name} is gone: {reason}", hint=self.child.log_tail())
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            with contextlib.suppress(InvalidStateError):
                future.set_exception(self.failure)


def _ipc(folder: ScratchFolder) -> str:
    return f"ipc://{folder.path}/engine.sock"

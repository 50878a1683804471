"""Runs the far end of every call: users signed in on the worker's engine process, who answer by themselves."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedrock.errors import RingfenceError
from calls.bridge.client import EngineClient
from calls.bridge.messages import (
    AnswerHabit,
    AnyCommand,
    AnyEvent,
    Configure,
    LegFinished,
    PersonSnapshot,
    PersonSpec,
    SignIn,
    SignOut,
    Snapshot,
    StillClosing,
    TargetSpec,
)
from calls.records.record import LegRecord, Tier
from device_matrix.cells import Cell
from device_matrix.errors import FarEndLost
from device_matrix.peer.target_admin import MatrixUser
from network_profiles import load_catalogue

ROLE = "matrix_engine"
REQUEST_TIMEOUT_S = 10.0
SIGN_IN_TIMEOUT_S = 20.0
SIGN_OUT_TIMEOUT_S = 4.0
ANSWER_AFTER_S = 0.5
"""Shorter than a human: figures exclude ringing time, and a run has many cells."""
LEGS_KEPT = 200
ENGINE_CHECK_S = 0.5


@dataclass(frozen=True, slots=True)
class FarEndState:
    """The current call as the far end sees it."""

    media: str
    """The media that it sends: ``audio`` or ``video``."""
    peer_media: str
    """The media that the device last announced; empty before that."""
    audio_packets_in: int
    last_packet_age_ms: float | None


class SignedInPeer:
    """One user of one cell, online until the context ends. Methods raise FarEndLost."""

    def __init__(self, far_end: FarEnd, name: str) -> None:
        self._far_end = far_end
        self.name = name

    def state(self) -> FarEndState | None:
        """Returns the user's view of the current call; None when there is none."""
        return self._far_end.state_of(self.name)

    def require_alive(self) -> None:
        """Checks that the engine runs."""
        self._far_end.require_alive()

    def finished_leg(self, call_id: str, timeout_s: float) -> LegRecord | None:
        """Waits for the record of the user's side of the call; None when it does not come in time."""
        return self._far_end.finished_leg(call_id, timeout_s)


class FarEnd:
    """The worker's engine, started at its first use and again after it died."""

    def __init__(
        self,
        *,
        run_folder: Path,
        run_id: str,
        writer: str,
        target_url: str,
        seed: int,
        on_closing: Callable[[StillClosing], None],
    ) -> None:
        """``on_closing`` is told the progress of the engine's end, on the client's thread: it must not wait."""
        self._on_closing = on_closing
        self._run_folder = run_folder
        self._run_id = run_id
        self._writer = writer
        self._target = TargetSpec(kind="reference", url=target_url)
        self._seed = seed
        self._engine: EngineClient | None = None
        self._starts = 0
        self._legs: dict[str, LegRecord] = {}
        self._leg_came = threading.Condition()

    @property
    def pid(self) -> int | None:
        """The engine's process id; None before its first use."""
        return self._engine.pid if self._engine is not None else None

    def ensure_started(self) -> None:
        """Starts the engine unless it runs. Raises FarEndLost."""
        if self._engine is not None and self._engine.is_alive():
            return
        self.close()
        # Each engine writes its own segments: the successor of a dead engine needs another name.
        writer = self._writer if self._starts == 0 else f"{self._writer}-again{self._starts}"
        self._starts += 1
        try:
            self._engine = EngineClient.spawn(self._run_folder, self._run_id, writer, ROLE, on_event=self._on_event)
        except RingfenceError as error:
            raise FarEndLost(f"the answering engine did not start: {error.message}", hint=error.hint) from error
        self._ask(Configure(target=self._target, seed=self._seed), REQUEST_TIMEOUT_S)

    @contextlib.contextmanager
    def signed_in(self, user: MatrixUser, *, media_address: str, cell: Cell, attempt: int) -> Iterator[SignedInPeer]:
        """Signs ``user`` in over loopback, with media bound to ``media_address``. Raises FarEndLost."""
        self.ensure_started()
        spec = PersonSpec(
            name=user.name,
            password=user.password,
            persona="far_end",
            link=load_catalogue().name_for_others(cell.network),
            media_address=media_address,
            tier=Tier.PACKETS,
            answers=AnswerHabit(answer_after_s=ANSWER_AFTER_S),
            cell=cell.id,
            attempt=attempt,
            scenario=cell.scenario,
        )
        self._ask(SignIn(person=spec), SIGN_IN_TIMEOUT_S)
        try:
            yield SignedInPeer(self, user.name)
        finally:
            with contextlib.suppress(FarEndLost):
                self._ask(SignOut(name=user.name), SIGN_OUT_TIMEOUT_S)

    def require_alive(self) -> None:
        """Checks that the engine runs. Raises FarEndLost."""
        if self._engine is None or not self._engine.is_alive():
            why = (
                self._engine.failure.message
                if self._engine is not None and self._engine.failure
                else "it is not running"
            )
            raise FarEndLost(f"the answering engine: {why}")

    def state_of(self, name: str) -> FarEndState | None:
        """Returns the user's view of the current call; None when there is none. Raises FarEndLost."""
        seen: PersonSnapshot = self._ask(Snapshot(name=name), REQUEST_TIMEOUT_S)
        if not seen.in_call:
            return None
        return FarEndState(seen.media, seen.peer_media, seen.packets_received, seen.last_packet_age_ms)

    def finished_leg(self, call_id: str, timeout_s: float) -> LegRecord | None:
        """Waits for the far side of ``call_id``; None when it does not come in time, or the engine is gone."""
        deadline_s = time.monotonic() + timeout_s
        with self._leg_came:
            while call_id not in self._legs and (left_s := deadline_s - time.monotonic()) > 0:
                if self._engine is None or not self._engine.is_alive():
                    break
                self._leg_came.wait(min(left_s, ENGINE_CHECK_S))
            return self._legs.get(call_id)

    def close(self) -> None:
        """Ends the engine. Safe to call twice."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _ask(self, command: AnyCommand, timeout_s: float) -> Any:
        if self._engine is None:
            raise FarEndLost("the answering engine is not running")
        try:
            return self._engine.request(command, timeout_s)
        except RingfenceError as error:
            what = type(command).__name__
            raise FarEndLost(f"the far end: {what}: {error.message}", hint=error.hint) from error

    def _on_event(self, event: AnyEvent) -> None:
        if isinstance(event, LegFinished):
            with self._leg_came:
                self._legs[event.leg.call_id] = event.leg
                while len(self._legs) > LEGS_KEPT:
                    self._legs.pop(next(iter(self._legs)))
                self._leg_came.notify_all()
        elif isinstance(event, StillClosing):
            self._on_closing(event)

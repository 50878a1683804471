"""A real service process, real engine processes, and people who call each other."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
from waiting import HANG_LIMIT_S, eventually

from bedrock.child_process import ChildProcess, spawn
from calls.bridge.client import EngineClient
from calls.bridge.messages import (
    AnswerHabit,
    CallFinished,
    Configure,
    LegFinished,
    PersonSpec,
    PlaceCall,
    SignedIn,
    SignIn,
    TargetSpec,
)
from calls.records.record import LegRecord

TOKEN = "token-of-the-calls-tests"
PASSWORD = "open sesame"
PATIENT = {
    "setup_limit_s": HANG_LIMIT_S,
    "ring_limit_s": HANG_LIMIT_S,
    "confirm_limit_s": HANG_LIMIT_S,
    "sign_in_limit_s": HANG_LIMIT_S,
    "silence_limit_s": HANG_LIMIT_S,
    "gap_limit_ms": 30_000.0,
    "seed": 7,
}
"""What an engine is told: no limit of a call that a slow machine could pass. A test of a limit says its own."""


class Service:
    """The reference service as its own process."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "reference_service", "--port", "0", "--database", str(folder / "service.db")]
        self.process: ChildProcess = spawn(
            "the service",
            [*argv, *options],
            log_path=folder / "service.log",
            env={**os.environ, "RINGFENCE_ADMIN_TOKEN": TOKEN},
            pipe_stdout=True,
        )
        self.url: str = self.process.wait_ready(HANG_LIMIT_S)["url"]

    def admin(self, path: str, body: object) -> Any:
        request = urllib.request.Request(
            self.url + path,
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=HANG_LIMIT_S) as response:
            return json.load(response)

    def calls(self) -> list[dict[str, Any]]:
        """What the service's own log says of every call."""
        request = urllib.request.Request(self.url + "/admin/calls", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=HANG_LIMIT_S) as response:
            logged: list[dict[str, Any]] = json.load(response)["calls"]
        return logged

    def seed(self, *names: str, controls: str = "everyone") -> None:
        users = [{"name": name, "display_name": name, "password": PASSWORD, "controls": controls} for name in names]
        self.admin("/admin/seed", {"users": users, "follows": []})


class Driver:
    """One engine and its client; callee legs are kept as they are told."""

    def __init__(self, folder: Path, writer: str, url: str, role: str = "engine", **configure: Any) -> None:
        self.folder = folder
        self.callee_legs: list[LegRecord] = []
        self.client = EngineClient.spawn(folder, "run-1", writer, role, on_event=self._on_event)
        self.client.request(
            Configure(target=TargetSpec(kind="reference", url=url), **{**PATIENT, **configure}), HANG_LIMIT_S
        )

    def sign_in(self, name: str, **spec: Any) -> SignedIn:
        answers = spec.pop("answers", AnswerHabit(answer_after_s=0.2))
        person = PersonSpec(name=name, password=PASSWORD, answers=answers, **spec)
        signed_in: SignedIn = self.client.request(SignIn(person=person), HANG_LIMIT_S)
        return signed_in

    def start_call(self, caller: str, callee: str, talk_s: float = 1.0, **order: Any) -> Callable[[], LegRecord]:
        """Places a call; the function that it returns waits for the caller's leg."""
        command = PlaceCall(caller=caller, callee=callee, intended_at_s=time.time(), talk_s=talk_s, **order)
        future = self.client.submit(command)

        def leg() -> LegRecord:
            finished = future.result(HANG_LIMIT_S)
            assert isinstance(finished, CallFinished)
            return finished.leg

        return leg

    def call(self, caller: str, callee: str, talk_s: float = 1.0, **order: Any) -> LegRecord:
        return self.start_call(caller, callee, talk_s, **order)()

    def callee_leg(self, call_id: str) -> LegRecord:
        """The leg of a call that one of this engine's people got."""
        return wait_for(lambda: next((leg for leg in self.callee_legs if leg.call_id == call_id), None))

    def close(self) -> None:
        self.client.close()

    def _on_event(self, event: object) -> None:
        if isinstance(event, LegFinished):
            self.callee_legs.append(event.leg)


def wait_for(found: Callable[[], Any]) -> Any:
    """Asks again until there is something, and returns it; fails when there never is."""
    values: list[Any] = []

    def look() -> bool:
        values.append(found())
        return values[-1] is not None

    assert eventually(look), "it never happened"
    return values[-1]


def rows(folder: Path, what: str, columns: str) -> list[tuple[Any, ...]]:
    """Reads back what is on disk."""
    with duckdb.connect() as database:
        found: list[tuple[Any, ...]] = database.execute(
            f"SELECT {columns} FROM '{folder}/{what}/*.parquet' ORDER BY ALL"
        ).fetchall()
    return found

"""Keeps the workers of one run: their reports, their liveness, and whether their data are safe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from bedrock.clock import Clock
from calls.bridge.closing import MASTER_MARGIN_S, ClosingWatch
from loadtests.master.liveness import LivenessChange, WorkerLiveness
from loadtests.master.presence_relay import PresenceRelay
from loadtests.records.receive import UploadReceiver
from loadtests.wire import shutdown_protocol
from loadtests.wire.live_stats import SwarmStats
from loadtests.wire.shutdown_protocol import WorkerBarrier
from reports.run.faults import Severity

LOOK_S = 0.5
ReportClosing = Callable[[int, str, int, float], None]
"""Takes the worker, its step, how much of it is left, and its bound in seconds."""


class ReportFault(Protocol):
    """Takes what happened, the details, how bad it is, and whether the load has to end."""

    def __call__(self, what: str, detail: str, severity: Severity, *, ends_load: bool = False) -> None: ...


class WorkerPool:
    """The workers of one run."""

    def __init__(
        self,
        runner: Any,
        slots: Mapping[str, int],
        run_folder: Path,
        clock: Clock,
        report_fault: ReportFault,
        report_closing: ReportClosing,
    ) -> None:
        self.stats = SwarmStats()
        self._runner = runner
        self._slots = slots
        self._clock = clock
        self._report_fault = report_fault
        self._report_closing = report_closing
        self._endings: dict[int, ClosingWatch] = {}
        self._presence_relay = PresenceRelay(runner, slots, clock)
        self._liveness = WorkerLiveness(runner, slots, clock)
        self._receiver = UploadReceiver(run_folder)
        self._drained = WorkerBarrier(())
        self._final = WorkerBarrier(())
        self._disk_fault_reported = False
        self._reported: set[int] = set()
        """Workers whose final report is here."""

    # -- what workers say

    def receive_stats(self, said: dict[str, Any]) -> None:
        """Takes in a worker's second."""
        self._liveness.identify(said["slot"], said["process"])
        if said["slot"] not in self._liveness.away:
            self.stats.take(said["slot"], said["second"], self._clock.unix_s())

    def receive_presence(self, said: dict[str, Any]) -> None:
        """Takes in who of a worker's people is online and busy."""
        if said["slot"] not in self._liveness.away:
            self._presence_relay.receive(said["slot"], said["online"], said["busy"])

    def receive_chunk(self, said: dict[str, Any]) -> dict[str, Any] | None:
        """Keeps a piece of a remote worker's records. Returns the answer, None for no answer."""
        answer = self._receiver.take(said)
        if self._receiver.problem and not self._disk_fault_reported:
            self._disk_fault_reported = True
            self._report_fault("records_not_kept", self._receiver.problem, "invalid", ends_load=True)
        return answer

    def receive_drained(self, slot: int) -> None:
        """Notes that a worker's calls are over."""
        self._drained.answer(slot)

    def receive_closing(self, slot: int, step: str, left: int, limit_s: float) -> None:
        """Takes in how far a worker is with its end."""
        if slot in self._endings and self._endings[slot].hear(step, left, limit_s):
            self._report_closing(slot, step, left, limit_s)

    def receive_final(self, slot: int, second: dict[str, Any]) -> None:
        """Takes in a worker's final report: its data are safe. A worker that was away is back with it."""
        if slot in self._liveness.away and slot not in self._reported:
            self._regain(slot)
        self.stats.take(slot, second, self._clock.unix_s())
        self._reported.add(slot)
        self._drained.give_up(slot)
        self._final.answer(slot)

    # -- what the master asks of them

    def watch(self) -> None:
        """Handles workers that fell silent, came back, or are gone."""
        self._presence_relay.drop_the_silent()
        for change, slot in self._liveness.poll():
            if slot in self._reported:
                # Its data are safe: it may go.
                self._give_up(slot)
            elif change is LivenessChange.AWAY:
                lost = self.stats.lose(slot)
                self._presence_relay.drop(slot)
                detail = f"worker {slot} is gone, with {lost} calls of its people in progress"
                self._report_fault("worker_lost", detail, "invalid")
            elif change is LivenessChange.BACK:
                self._regain(slot)
            else:
                self._give_up(slot)

    def end(self, drain_s: float) -> None:
        """Waits for all calls to end, then for the report of every worker. Adds a fault for each missing report."""
        slots = set(self._slots.values()) - self._liveness.gone - self._reported
        self._drained, self._final = WorkerBarrier(slots), WorkerBarrier(slots)
        self._runner.send_message(shutdown_protocol.END, {"drain_s": drain_s})
        self._drained.wait(drain_s + shutdown_protocol.DRAIN_MARGIN_S)
        self._endings = {slot: ClosingWatch(self._clock, MASTER_MARGIN_S) for slot in slots}
        self._runner.send_message(shutdown_protocol.CLOSE, {})
        for slot in self._wait_for_reports():
            detail = f"worker {slot} sent no final report: {self._endings[slot].in_words()}"
            self._report_fault("worker_silent", detail, "invalid")

    def skip_drain(self) -> None:
        """Stops waiting for calls to end by themselves."""
        self._drained.stop_waiting()

    def _wait_for_reports(self) -> list[int]:
        """Returns the workers that sent no final report, and make no progress towards it."""
        while missing := self._final.wait(LOOK_S):
            if all(self._endings[slot].is_overdue for slot in missing):
                break
        return missing

    def _regain(self, slot: int) -> None:
        self.stats.regain(slot)
        self._report_fault("worker_back", f"worker {slot} was stalled and goes on", "note")

    def _give_up(self, slot: int) -> None:
        self._drained.give_up(slot)
        self._final.give_up(slot)

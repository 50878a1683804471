"""The workers of one run as the master knows them: what they say, who is missing, and whether their data are safe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from bedrock.clock import Clock
from calls.bridge.closing import MASTER_MARGIN_S, ClosingWatch
from loadtests.master.liveness import Attendance, Change
from loadtests.master.presence_relay import Switchboard
from loadtests.records.receive import Receiver
from loadtests.wire import shutdown_protocol
from loadtests.wire.live_stats import SwarmView
from loadtests.wire.shutdown_protocol import RollCall
from reports.run.faults import Severity

LOOK_S = 0.5
TellClosing = Callable[[int, str, int, float], None]
"""Takes the worker, its step, how much of it is left, and its bound in seconds."""


class TellFault(Protocol):
    """Takes what happened, the details, how bad it is, and whether the load has to end."""

    def __call__(self, what: str, detail: str, severity: Severity, *, ends_load: bool = False) -> None: ...


class Crew:
    """Of one run. ``tell_closing`` is told of the workers' progress towards the end."""

    def __init__(
        self,
        runner: Any,
        slots: Mapping[str, int],
        run_folder: Path,
        clock: Clock,
        tell_fault: TellFault,
        tell_closing: TellClosing,
    ) -> None:
        self.view = SwarmView()
        self._runner = runner
        self._slots = slots
        self._clock = clock
        self._tell_fault = tell_fault
        self._tell_closing = tell_closing
        self._endings: dict[int, ClosingWatch] = {}
        self._switchboard = Switchboard(runner, slots, clock)
        self._attendance = Attendance(runner, slots, clock)
        self._receiver = Receiver(run_folder)
        self._drained = RollCall(())
        self._final = RollCall(())
        self._told_disk = False
        self._reported: set[int] = set()
        """Workers whose final report is here."""

    # -- what workers say

    def hear_second(self, said: dict[str, Any]) -> None:
        """Takes in a worker's second."""
        self._attendance.introduce(said["slot"], said["whereabouts"])
        if said["slot"] not in self._attendance.away:
            self.view.take(said["slot"], said["second"], self._clock.unix_s())

    def hear_presence(self, said: dict[str, Any]) -> None:
        """Takes in who of a worker's people is online and busy."""
        if said["slot"] not in self._attendance.away:
            self._switchboard.hear(said["slot"], said["online"], said["engaged"])

    def hear_piece(self, said: dict[str, Any]) -> dict[str, Any] | None:
        """Keeps a piece of a remote worker's records. Returns the answer, None for no answer."""
        answer = self._receiver.take(said)
        if self._receiver.problem and not self._told_disk:
            self._told_disk = True
            self._tell_fault("records_not_kept", self._receiver.problem, "invalid", ends_load=True)
        return answer

    def hear_drained(self, slot: int) -> None:
        """Notes that a worker's calls are over."""
        self._drained.answer(slot)

    def hear_closing(self, slot: int, step: str, left: int, limit_s: float) -> None:
        """Takes in how far a worker is with its end."""
        if slot in self._endings and self._endings[slot].hear(step, left, limit_s):
            self._tell_closing(slot, step, left, limit_s)

    def hear_final(self, slot: int, second: dict[str, Any]) -> None:
        """Takes in a worker's final report: its data are safe."""
        self.view.take(slot, second, self._clock.unix_s())
        self._reported.add(slot)
        self._drained.give_up(slot)
        self._final.answer(slot)

    # -- what the master asks of them

    def watch(self) -> None:
        """Notes who fell silent, who came back and who is gone for good."""
        self._switchboard.drop_the_silent()
        for change, slot in self._attendance.look():
            if slot in self._reported:
                # Its data are safe: it may go.
                self._give_up(slot)
            elif change is Change.AWAY:
                lost = self.view.lose(slot)
                self._switchboard.drop(slot)
                detail = f"worker {slot} is gone, with {lost} calls of its people in progress"
                self._tell_fault("worker_lost", detail, "invalid")
            elif change is Change.BACK:
                self.view.regain(slot)
                self._tell_fault("worker_back", f"worker {slot} had only been stalled: it goes on", "note")
            else:
                self._give_up(slot)

    def end(self, drain_s: float) -> None:
        """Lets everybody's calls end, then has every worker report. A fault for each that does not."""
        slots = set(self._slots.values()) - self._attendance.gone - self._reported
        self._drained, self._final = RollCall(slots), RollCall(slots)
        self._runner.send_message(shutdown_protocol.END, {"drain_s": drain_s})
        self._drained.wait(drain_s + shutdown_protocol.DRAIN_MARGIN_S)
        self._endings = {slot: ClosingWatch(self._clock, MASTER_MARGIN_S) for slot in slots}
        self._runner.send_message(shutdown_protocol.CLOSE, {})
        for slot in self._wait_for_reports():
            detail = f"worker {slot} sent no final report: {self._endings[slot].in_words()}"
            self._tell_fault("worker_silent", detail, "invalid")

    def hurry(self) -> None:
        """Waits no longer for calls to end by themselves."""
        self._drained.wait_no_longer()

    def _wait_for_reports(self) -> list[int]:
        """Returns the workers that sent no final report, and make no progress towards it."""
        while missing := self._final.wait(LOOK_S):
            if all(self._endings[slot].is_overdue for slot in missing):
                break
        return missing

    def _give_up(self, slot: int) -> None:
        self._drained.give_up(slot)
        self._final.give_up(slot)

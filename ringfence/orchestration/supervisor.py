"""Supervises one run: starts its processes, watches them, reacts when one ends, and ends all of them.

Timeline: target, then swarm, then (``matrix.start_after_s`` later) the matrix; the swarm's last stage lasts until the
matrix has ended. Children are watched by descriptor (pidfd), so their exit is noticed at once. The screen is
redrawn every 0.5 s. In every case ``run`` ends every process and leaves a readable folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from bedrock import crash
from bedrock.child_process import ChildProcess
from bedrock.clock import Clock
from bedrock.errors import EnvironmentLacks, RingfenceError
from bedrock.exit_codes import ExitCode
from calls.targets.running_target import RunningTarget
from device_matrix.cleanup import sweep
from loadtests.records.machine import CANNOT_LISTEN
from loadtests.records.other_runs import Neighbours, warning_of
from reports.gate.stepped_load import read_knee, read_rollout
from ringfence.orchestration.matrix import start_matrix
from ringfence.orchestration.matrix_shutdown import MatrixShutdown
from ringfence.orchestration.progress import Progress
from ringfence.orchestration.run_folder import RESERVE_FOR_RECORDS, RESERVES, RunFolderWriter
from ringfence.orchestration.screen import Screen
from ringfence.orchestration.signals import ignore_end_signals
from ringfence.orchestration.swarm import SwarmProcesses, start_swarm
from ringfence.orchestration.swarm_shutdown import SwarmShutdown
from ringfence.orchestration.target import open_target
from ringfence.run_plan import RunPlan

TICK_S = 0.5
ORPHAN_WORKER_LIMIT_S = 90.0
"""A worker whose master is dead cannot report its progress. Its engine's steps add up to 50 s on the slowest link, and
its last report, which nobody acknowledges, takes 15 s."""
MATRIX_OK_EXITS = frozenset({ExitCode.PASS, ExitCode.FAIL, ExitCode.INVALID})
"""All cells passed, some failed, some were not judged. None of these is a fault of the harness."""
MACHINE_FULL_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
)
"""Shortages of the machine: they make a run INVALID and are no fault of our code."""


@dataclass(slots=True)
class Supervisor:
    """Runs one plan. Use ``run`` once."""

    plan: RunPlan
    folder: RunFolderWriter
    clock: Clock
    screen: Screen
    neighbours: Neighbours
    matrix_filters: Mapping[str, str] = field(default_factory=dict)

    target: RunningTarget | None = None
    swarm: SwarmProcesses | None = None
    matrix: ChildProcess | None = None
    progress: Progress = field(init=False)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _watched: dict[int, ChildProcess] = field(default_factory=dict)
    _matrix_done: bool = False
    _swarm_shutdown: SwarmShutdown | None = None
    _stop_reason: str = ""
    _load_has_ended: bool = False
    """Records cannot be kept any more: the load is ending, and nothing new is started."""

    def __post_init__(self) -> None:
        self.progress = Progress(self.folder.path / "live")

    def run(self) -> None:
        """Runs the plan to its end. Raises KeyboardInterrupt after cleaning up on Ctrl-C."""
        interrupted = False
        try:
            self._start_target()
            self._start_swarm()
            if self.swarm is None:
                self._start_matrix()
            self._watch()
        except KeyboardInterrupt:
            interrupted = True
            raise
        except OSError as error:
            if error.errno not in MACHINE_FULL_ERRORS:
                raise
            self._stop("machine_full", f"this machine has no resources left for the run: {error}", "invalid")
        finally:
            with ignore_end_signals():
                self._end_everything()
                for reserve in RESERVES:
                    self.folder.release_reserve(reserve)
                self.neighbours.look(now=True)
                self.folder.finish(interrupted=interrupted, other_runs=self.neighbours.to_json())
                # A killed process left its scratch folder, and there may be no later run that removes it.
                with contextlib.suppress(OSError, RingfenceError):
                    sweep()
            self.selector.close()

    def _start_target(self) -> None:
        url = self.plan.settings.target.url
        self.screen.say(f"connecting to the calling service at {url}" if url else "starting the calling service")
        self.target = open_target(
            self.plan.settings,
            database=self.folder.path / "service" / "service.sqlite",
            log_path=self.folder.path / "logs" / "service.log",
        )
        self.folder.manifest["target"] = {"kind": self.plan.settings.target.kind, "url": self.target.url}
        self.folder.save()
        if self.target.process is not None:
            self._watch_child(self.target.process)

    def _start_swarm(self) -> None:
        section = self.plan.settings.swarm
        if section is None or self.target is None:
            return
        self.screen.say(f"starting the swarm: {section.people} people over {section.workers} workers")
        self.swarm = start_swarm(section.workers, self.target, self.folder)
        for child in self.swarm.all():
            self._watch_child(child)
        self.selector.register(self.swarm.faults.reading_end, selectors.EVENT_READ)

    def _start_matrix(self) -> None:
        section = self.plan.settings.matrix
        if section is None or self.target is None or self.matrix is not None:
            return
        self.screen.say("starting the device matrix")
        self.matrix = start_matrix(section.workers, self.target, self.folder, self.matrix_filters)
        self._watch_child(self.matrix)

    def _watch_child(self, child: ChildProcess) -> None:
        descriptor = os.pidfd_open(child.pid)
        self._watched[descriptor] = child
        self.selector.register(descriptor, selectors.EVENT_READ)

    def _watch(self) -> None:
        started_at_s = self.clock.monotonic_s()
        while not self._is_over():
            for key, _ in self.selector.select(TICK_S):
                descriptor = key.fd
                if descriptor not in self._watched:
                    self._read_faults()
                    continue
                self.selector.unregister(descriptor)
                os.close(descriptor)
                self._handle_exit(self._watched.pop(descriptor))
            elapsed_s = self.clock.monotonic_s() - started_at_s
            self._advance(elapsed_s)
            for other in self.neighbours.look():
                self.screen.warn(warning_of(other))
            self.progress.read()
            for sentence in self.progress.take_messages():
                self.screen.say(sentence)
            self.screen.draw(self.progress, elapsed_s)
        self._handle_last_exits()

    def _handle_last_exits(self) -> None:
        """Handles exits between the last check of the descriptors and the check of the processes."""
        for descriptor, child in list(self._watched.items()):
            if not child.is_running():
                self.selector.unregister(descriptor)
                os.close(descriptor)
                self._handle_exit(self._watched.pop(descriptor))

    def _is_over(self) -> bool:
        if self._stop_reason:
            return True
        swarm_over = self.swarm is None or not self.swarm.master.is_running()
        matrix_over = (
            self.plan.settings.matrix is None or self._matrix_done or (self._load_has_ended and not self.matrix)
        )
        return swarm_over and matrix_over

    def _advance(self, elapsed_s: float) -> None:
        matrix = self.plan.settings.matrix
        if not self._load_has_ended and (self.folder.problem or self.folder.is_full()):
            problem = self.folder.problem or f"the disk of {self.folder.path} is full"
            self.folder.record_fault("disk_refuses", problem, "invalid")
            self._end_load(problem)
        if self.matrix is None and matrix is not None and not self._load_has_ended:
            swarm_gone = self.swarm is None or not self.swarm.master.is_running()
            if elapsed_s >= matrix.start_after_s or swarm_gone:
                self._start_matrix()
        if self.swarm is not None and self.swarm.master.is_running():
            self._end_open_stage()
        if elapsed_s > self.plan.settings.max_duration_s:
            self._stop(
                "time_limit",
                f"the run took longer than max_duration_s = {self.plan.settings.max_duration_s:.0f}",
                "invalid",
            )

    def _end_open_stage(self) -> None:
        assert self.swarm is not None
        matrix_over = self.plan.settings.matrix is None or self._matrix_done
        section = self.plan.settings.swarm
        if matrix_over and self._swarm_shutdown is None and section is not None and self._swarm_is_in_open_stage():
            self.screen.say("nothing else is running: the swarm ends its calls")
            self.swarm.master.signal(signal.SIGUSR1)
            self._swarm_shutdown = SwarmShutdown(self.clock, section.effective_drain_s)
        elif self._swarm_shutdown is not None:
            self._read_shutdown_lines(self._swarm_shutdown)
            if self._swarm_shutdown.is_overdue:
                detail = f"the swarm was told to end and makes no progress: {self._swarm_shutdown.in_words()}"
                self._stop("swarm_drain", detail, "invalid")

    def _read_shutdown_lines(self, end: SwarmShutdown) -> None:
        for line in self.progress.take_closing():
            end.hear(line)

    def _read_faults(self) -> None:
        """Reads the swarm's faults from the master's pipe."""
        assert self.swarm is not None
        faults = self.swarm.faults.read()
        if faults is None:
            self.selector.unregister(self.swarm.faults.reading_end)
        for fault in faults or ():
            self.folder.add_fault(fault)
            if fault.get("ends_load") and not self._load_has_ended:
                self._end_load(str(fault.get("detail", "")))

    def _read_last_faults(self) -> None:
        assert self.swarm is not None
        while faults := self.swarm.faults.read():
            for fault in faults:
                self.folder.add_fault(fault)
        self.swarm.faults.close()

    def _end_load(self, why: str) -> None:
        """Tells swarm and matrix to end now and to keep their records."""
        self._load_has_ended = True
        self.folder.release_reserve(RESERVE_FOR_RECORDS)
        self.screen.warn(f"the load ends: {why}")
        if self.swarm is not None and self.swarm.master.is_running():
            self.swarm.master.signal(signal.SIGTERM)
            self._swarm_shutdown = SwarmShutdown(self.clock, 0.0)
        if self.matrix is not None:
            self.matrix.signal(signal.SIGINT)

    def _swarm_is_in_open_stage(self) -> bool:
        section = self.plan.settings.swarm
        stages = section.timeline if section is not None else ()
        return self.progress.swarm_stage in [stage.name for stage in stages if stage.duration_s == 0]

    def _handle_exit(self, child: ChildProcess) -> None:
        code = child.popen.wait()
        if child is self.matrix:
            self._matrix_done = True
            if code not in MATRIX_OK_EXITS and not self._load_has_ended:
                self.folder.record_fault(
                    "matrix_died", f"pytest {crash.describe_exit(code, child.pid)}: {child.log_tail(3)}", "invalid"
                )
            return
        if self.target is not None and child is self.target.process:
            # A service that dies is a product failure. Exit code 70 is an exception of our own reference service.
            crashed = code == ExitCode.CRASHED
            detail = f"the calling service ended in the middle of the run: it {crash.describe_exit(code, child.pid)}"
            # On a full disk the service may have died of the disk, so the product is not blamed.
            ours = crashed or self._load_has_ended or self.folder.is_full()
            self._stop("target_crashed" if crashed else "target_died", detail, "invalid" if ours else "fail")
            return
        if self.swarm is not None and child is self.swarm.master:
            if code == ExitCode.ENVIRONMENT and (sentence := _port_taken(child)):
                self.folder.record_fault("swarm_master_died", sentence, "invalid")
                raise EnvironmentLacks(sentence, hint="start the run again: each takes a port that is free then")
            if code not in (0, self._exit_code_of_steps()) and not self._load_has_ended:
                self.folder.record_fault(
                    "swarm_master_died", f"the Locust master {crash.describe_exit(code, child.pid)}", "invalid"
                )
            return
        self.progress.read()
        ending = self.progress.swarm_ended or self.progress.swarm_stage == "drain"
        if (code != 0 or not ending) and not self._load_has_ended:
            self.folder.record_fault(
                "swarm_worker_died", f"{child.name} {crash.describe_exit(code, child.pid)}", "invalid"
            )

    def _exit_code_of_steps(self) -> int:
        """Returns the master's exit code after the last step of a stepped load. It is no fault of the master."""
        result = read_knee(self.folder.path) or read_rollout(self.folder.path)
        return int(ExitCode[result.verdict]) if result is not None else 0

    def _stop(self, what: str, detail: str, severity: str) -> None:
        self.folder.record_fault(what, detail, "fail" if severity == "fail" else "invalid")
        self.screen.warn(detail)
        self._stop_reason = what

    def _end_everything(self) -> None:
        """Ends all processes: matrix and swarm before the service, each within a limit."""
        if self.matrix is not None:
            self._end_matrix(self.matrix)
        if self.swarm is not None:
            self._end_swarm(self.swarm)
            self._read_last_faults()
        if self.target is not None:
            self.target.stop()
        for descriptor in self._watched:
            os.close(descriptor)
        self._watched.clear()

    def _end_matrix(self, matrix: ChildProcess) -> None:
        """Ends the matrix. Waits as long as its cells or far ends make progress."""
        if matrix.is_running():
            self.progress.read()
            self.progress.take_matrix_lines()
            end = MatrixShutdown(self.clock)
            matrix.signal(signal.SIGINT)
            while not end.is_overdue:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    matrix.popen.wait(TICK_S)
                    break
                self.progress.read()
                for line in self.progress.take_matrix_lines():
                    end.hear(line)
        matrix.stop()

    def _end_swarm(self, swarm: SwarmProcesses) -> None:
        """Ends the master, and waits as long as its workers make progress. Then ends the workers that are left."""
        if swarm.master.is_running():
            end = SwarmShutdown(self.clock, 0.0)
            swarm.master.signal(signal.SIGTERM)
            while not end.is_overdue:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    swarm.master.popen.wait(TICK_S)
                    break
                self.progress.read()
                self._read_shutdown_lines(end)
        swarm.master.stop(timeout_s=0)
        deadline_s = self.clock.monotonic_s() + ORPHAN_WORKER_LIMIT_S
        for worker in swarm.workers:
            worker.signal(signal.SIGTERM)
        for worker in swarm.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.popen.wait(max(0.0, deadline_s - self.clock.monotonic_s()))
            worker.stop(timeout_s=0)


def _port_taken(master: ChildProcess) -> str:
    """Returns the sentence of a master whose port was taken, or an empty text."""
    lines = [line for line in master.log_tail().splitlines() if CANNOT_LISTEN in line]
    return lines[-1].removeprefix("ringfence: ").partition(" (")[0] if lines else ""

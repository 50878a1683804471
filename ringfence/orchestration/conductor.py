"""One run from start to verdict: what is started when, who is watched, what happens when one of them dies.

Timeline: target, then swarm, then (``matrix.start_after_s`` later) the matrix; the swarm's last stage lasts until the
matrix has ended. Children are watched by descriptor (pidfd), so a death is noticed at once; the screen is redrawn on a
tick. Whatever happens, ``finish`` ends every process and leaves a readable folder.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bedrock.child_process import ChildProcess
from bedrock.clock import Clock
from bedrock.exit_codes import ExitCode
from reports.staged import read_knee, read_rollout
from ringfence.orchestration.matrix import start_matrix
from ringfence.orchestration.matrix_end import MatrixEnd
from ringfence.orchestration.progress import Progress
from ringfence.orchestration.run_folder import RunFolder
from ringfence.orchestration.screen import Screen
from ringfence.orchestration.swarm import SwarmProcesses, start_swarm
from ringfence.orchestration.swarm_end import SwarmEnd
from ringfence.orchestration.target import Target, start_target
from ringfence.plan import Plan

TICK_S = 0.5
WORKER_ALONE_S = 90.0
"""A worker whose master is dead tells nobody how far it is. Its engine's steps add up to 50 s on the slowest link, and
its last report, which nobody acknowledges, takes 15 s."""
MATRIX_OK_EXITS = frozenset({0, 1})
"""pytest: all passed, some failed. Cells judge themselves; these are no fault of the harness."""


@dataclass(slots=True)
class Conductor:
    """Runs one plan. Use ``run`` once."""

    plan: Plan
    folder: RunFolder
    clock: Clock
    screen: Screen
    matrix_filters: Mapping[str, str] = field(default_factory=dict)

    target: Target | None = None
    swarm: SwarmProcesses | None = None
    matrix: ChildProcess | None = None
    progress: Progress = field(init=False)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _watched: dict[int, ChildProcess] = field(default_factory=dict)
    _matrix_done: bool = False
    _swarm_end: SwarmEnd | None = None
    _stop_reason: str = ""

    def __post_init__(self) -> None:
        self.progress = Progress(self.folder.path / "live")

    def run(self) -> None:
        """Starts and watches everything to its end. Raises KeyboardInterrupt after cleaning up on Ctrl-C."""
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
        finally:
            with undisturbed():
                self._end_everything()
                self.folder.finish(interrupted=interrupted)
            self.selector.close()

    def _start_target(self) -> None:
        url = self.plan.written.target.url
        self.screen.say(f"asking for the calling service at {url}" if url else "starting the calling service")
        self.target = start_target(
            self.plan.written,
            database=self.folder.path / "service" / "service.sqlite",
            log_path=self.folder.path / "logs" / "service.log",
        )
        self.folder.manifest["target"] = {"kind": self.plan.written.target.kind, "url": self.target.url}
        self.folder.save()
        if self.target.process is not None:
            self._watch_child(self.target.process)

    def _start_swarm(self) -> None:
        section = self.plan.written.swarm
        if section is None or self.target is None:
            return
        self.screen.say(f"starting the swarm: {section.people} people over {section.workers} workers")
        self.swarm = start_swarm(section.workers, self.target, self.folder)
        for child in self.swarm.all():
            self._watch_child(child)

    def _start_matrix(self) -> None:
        section = self.plan.written.matrix
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
                self.selector.unregister(descriptor)
                os.close(descriptor)
                self._child_ended(self._watched.pop(descriptor))
            elapsed_s = self.clock.monotonic_s() - started_at_s
            self._advance(elapsed_s)
            self.progress.read()
            for sentence in self.progress.take_news():
                self.screen.say(sentence)
            self.screen.draw(self.progress, elapsed_s)

    def _is_over(self) -> bool:
        if self._stop_reason:
            return True
        swarm_over = self.swarm is None or not self.swarm.master.is_running()
        matrix_over = self.plan.written.matrix is None or self._matrix_done
        return swarm_over and matrix_over

    def _advance(self, elapsed_s: float) -> None:
        matrix = self.plan.written.matrix
        if self.matrix is None and matrix is not None:
            swarm_gone = self.swarm is None or not self.swarm.master.is_running()
            if elapsed_s >= matrix.start_after_s or swarm_gone:
                self._start_matrix()
        if self.swarm is not None and self.swarm.master.is_running():
            self._end_swarm_in_time()
        if elapsed_s > self.plan.written.max_duration_s:
            self._stop(
                "time_limit",
                f"the run took longer than max_duration_s = {self.plan.written.max_duration_s:.0f}",
                "invalid",
            )

    def _end_swarm_in_time(self) -> None:
        assert self.swarm is not None
        matrix_over = self.plan.written.matrix is None or self._matrix_done
        section = self.plan.written.swarm
        if matrix_over and self._swarm_end is None and section is not None and self._swarm_is_in_its_open_stage():
            self.screen.say("nothing else is running: the swarm hangs up")
            self.swarm.master.signal(signal.SIGUSR1)
            self._swarm_end = SwarmEnd(self.clock, section.effective_drain_s)
        elif self._swarm_end is not None:
            self._hear_of_the_end(self._swarm_end)
            if self._swarm_end.is_overdue:
                detail = f"the swarm was told to end and makes no progress: {self._swarm_end.in_words()}"
                self._stop("swarm_drain", detail, "invalid")

    def _hear_of_the_end(self, end: SwarmEnd) -> None:
        for line in self.progress.take_closing():
            end.hear(line)

    def _swarm_is_in_its_open_stage(self) -> bool:
        section = self.plan.written.swarm
        stages = section.timeline if section is not None else ()
        return self.progress.swarm_stage in [stage.name for stage in stages if stage.duration_s == 0]

    def _child_ended(self, child: ChildProcess) -> None:
        code = child.popen.wait()
        if child is self.matrix:
            self._matrix_done = True
            if code not in MATRIX_OK_EXITS:
                self.folder.record_fault(
                    "matrix_died", f"pytest ended with exit code {code}: {child.last_words(3)}", "invalid"
                )
            return
        if self.target is not None and child is self.target.process:
            self._stop("target_died", f"the calling service ended by itself with exit code {code}", "fail")
            return
        if self.swarm is not None and child is self.swarm.master:
            if code not in (0, self._code_of_steps()):
                self.folder.record_fault(
                    "swarm_master_died", f"the Locust master ended with exit code {code}", "invalid"
                )
            return
        self.progress.read()
        ending = self.progress.swarm_ended or self.progress.swarm_stage == "drain"
        if code != 0 or not ending:
            self.folder.record_fault("swarm_worker_died", f"{child.name} ended with exit code {code}", "invalid")

    def _code_of_steps(self) -> int:
        """Returns how the master ends when the steps of its load came to what they did: no fault of its own."""
        result = read_knee(self.folder.path) or read_rollout(self.folder.path)
        return int(ExitCode[result.verdict]) if result is not None else 0

    def _stop(self, what: str, detail: str, severity: str) -> None:
        self.folder.record_fault(what, detail, "fail" if severity == "fail" else "invalid")
        self.screen.warn(detail)
        self._stop_reason = what

    def _end_everything(self) -> None:
        """Ends what still runs, the callers before the called, each with a bounded grace."""
        if self.matrix is not None:
            self._end_matrix(self.matrix)
        if self.swarm is not None:
            self._end_swarm(self.swarm)
        if self.target is not None and self.target.process is not None:
            self.target.process.stop(timeout_s=10)
        for descriptor in self._watched:
            os.close(descriptor)
        self._watched.clear()

    def _end_matrix(self, matrix: ChildProcess) -> None:
        """Has the matrix release its cells, for as long as it or one of its far ends makes progress."""
        if matrix.is_running():
            self.progress.read()
            self.progress.take_matrix_lines()
            end = MatrixEnd(self.clock)
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
        """Has the master end its workers, for as long as they make progress; then the workers that it left."""
        if swarm.master.is_running():
            end = SwarmEnd(self.clock, 0.0)
            swarm.master.signal(signal.SIGTERM)
            while not end.is_overdue:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    swarm.master.popen.wait(TICK_S)
                    break
                self.progress.read()
                self._hear_of_the_end(end)
        swarm.master.stop(timeout_s=0)
        deadline_s = self.clock.monotonic_s() + WORKER_ALONE_S
        for worker in swarm.workers:
            worker.signal(signal.SIGTERM)
        for worker in swarm.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.popen.wait(max(0.0, deadline_s - self.clock.monotonic_s()))
            worker.stop(timeout_s=0)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Lets no impatient second Ctrl-C or SIGTERM break off the end of a run: it is bounded in time by itself."""
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

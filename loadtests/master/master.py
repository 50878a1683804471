"""Runs a load from the master: prepares it, starts its clock, watches the workers, and ends it.

    idle --prepare--> ready --begin--> loading --end--> ended --forget--> idle

The load shape prepares on its first tick. Locust's ``test_stopping`` ends the run if nothing has ended it yet.
"""

from __future__ import annotations

import logging
import os
from enum import Enum
from typing import Any

import gevent
from gevent.lock import RLock
from locust.env import Environment

from bedrock import crash
from bedrock.clock import Clock
from bedrock.errors import InputError, Problem, RingfenceError
from bedrock.exit_codes import ExitCode
from bedrock.input_file import name_problem
from bedrock.target_url import url_problem
from calls.targets.running_target import RunningTarget
from loadtests.arrivals.load_line import planned_calls
from loadtests.crash_guard import CrashGuard
from loadtests.master.live_writer import SwarmLiveWriter
from loadtests.master.preparation import prepare_run
from loadtests.master.worker_pool import WorkerPool
from loadtests.plan.overrides import PlanOverrides
from loadtests.plan.swarm_plan import LoadPlan, load_plan
from loadtests.records import upload
from loadtests.records.fault_log import fault_pipe
from loadtests.records.other_runs import other_runs, processes, warning_of
from loadtests.records.run_folder import SwarmFolder
from loadtests.shapes.driver import StepDriver
from loadtests.wire import shutdown_protocol
from loadtests.wire.live_stats import SwarmStats
from loadtests.wire.run_spec import LOCAL, SPEC_OPTION, RunSpec
from reports.run.faults import Severity

logger = logging.getLogger(__name__)

SIGN_IN_S = 20.0
"""How long the load waits for the last people to sign in. People who are not online by then are not called."""
ALMOST_ALL = 0.98
ENGINE_NOT_STARTED = "engine_not_started"
"""A fault that ends the run before its load: the plan cannot be carried out."""


class RunPhase(Enum):
    """The phases of a run."""

    IDLE = "idle"
    READY = "ready"
    LOADING = "loading"
    ENDING = "ending"
    ENDED = "ended"


class SwarmMaster:
    """One per Locust master, or per Locust process that is its own worker."""

    def __init__(self, environment: Environment, clock: Clock) -> None:
        self.environment = environment
        self.phase = RunPhase.IDLE
        self.problem = ""
        """Why the last start was refused, for the web UI."""
        self.plan = ""
        """The load of this run or the last one, in one line."""
        self._clock = clock
        options: Any = environment.parsed_options
        # Read now: Locust's start form writes into the options, and the target gets our admin token.
        self._target_url, self._run_folder = str(options.target or ""), str(options.run_folder or "")
        self._fault_pipe = fault_pipe(os.environ)
        self._lock = RLock()
        self._target: RunningTarget | None = None
        self._spec: RunSpec | None = None
        self._folder: SwarmFolder | None = None
        self._live: SwarmLiveWriter | None = None
        self._driver: StepDriver | None = None
        self._loading_since_s = 0.0
        self._greenlets: list[gevent.Greenlet] = []
        self._workers: WorkerPool | None = None
        self._guard = CrashGuard(self.crashed)
        for message, listener in (
            (shutdown_protocol.SECOND, self._on_second),
            (shutdown_protocol.PRESENCE, self._on_presence),
            (shutdown_protocol.FAULT, self._on_fault),
            (shutdown_protocol.DRAINED, self._on_drained),
            (shutdown_protocol.CLOSING, self._on_closing),
            (shutdown_protocol.FINAL, self._on_final),
            (shutdown_protocol.TIME, self._on_time),
            (upload.CHUNK, self._on_chunk),
        ):
            self._runner.register_message(message, self._guard.guarded(listener))

    @property
    def _runner(self) -> Any:
        return self.environment.runner

    # -- what the shape asks for

    def prepare(self) -> tuple[int, float, int]:
        """Reads the plan, opens the run folder, finds or starts the target and makes its people.

        Returns how many users to start in all, how many a second, and how many of them are probes. Raises
        RingfenceError with the sentence for the user.
        """
        options: Any = self.environment.parsed_options
        changes = PlanOverrides.from_values(vars(options))
        ready = prepare_run(
            options.plan, changes, self._target_url, self._run_folder, self._runner, self._target, self._clock
        )
        if ready.target.is_ours:
            self._target = ready.target
        self.problem = ""
        crash.set_run_folder(ready.folder.path)
        self._folder, self._spec, plan = ready.folder, ready.spec, ready.spec.plan
        self._workers = WorkerPool(
            self._runner, ready.spec.slots, ready.folder.path, self._clock, self._fault, self._closing
        )
        self._live, self._driver = SwarmLiveWriter(ready.folder.path, self._workers.stats, self._fault_pipe), None
        vars(options)[SPEC_OPTION] = ready.spec.to_wire()
        self.environment.host = ready.target.url
        self.phase = RunPhase.READY
        logger.info("Run folder %s, target %s", ready.folder.path, ready.target.url)
        for other in other_runs(processes(), os.getpid()):
            logger.warning("%s", warning_of(other))
        self.plan = f"{ready.plan_name}: {plan.in_words()}"
        logger.info("Plan %s", self.plan)
        self._greenlets = [self._guard.spawn(self._every_second)]
        return plan.people + plan.probe_calls, plan.spawn_rate_per_s, plan.probe_calls

    @property
    def stats(self) -> SwarmStats:
        """Statistics of this run or the last one."""
        return self._workers.stats if self._workers is not None else SwarmStats()

    @property
    def is_headless(self) -> bool:
        """Whether Locust runs without its web UI, and ends with the run."""
        return bool(getattr(self.environment.parsed_options, "headless", False))

    @property
    def is_starting(self) -> bool:
        """Whether a run was asked for and is being prepared: its people are made, its engines come up."""
        return self.phase in (RunPhase.IDLE, RunPhase.READY) and self._runner.shape_greenlet is not None

    @property
    def is_over(self) -> bool:
        """Whether the run has ended and its users may go."""
        return self.phase is RunPhase.ENDED

    def check_options(self) -> LoadPlan:
        """Returns the command line's plan, to which its changes can be made. Raises InputError."""
        options: Any = self.environment.parsed_options
        if self._target_url and (why := url_problem(self._target_url)):
            raise InputError([Problem("--target", "", f"{why} (got '{self._target_url}')")])
        if self._run_folder and (why := name_problem(self._run_folder)):
            raise InputError([Problem("--run-folder", "", why)])
        plan = load_plan(options.plan)
        PlanOverrides.from_values(vars(options)).apply(plan)
        return plan

    def refuse(self, error: RingfenceError) -> None:
        """Reports why a run was not started, and ends with the error's exit code."""
        self.problem = f"{error}" + (f" ({error.hint})" if error.hint else "")
        self.exit_with(error.exit_code)
        logger.error("%s", self.problem)

    def crashed(self, error: Exception) -> None:
        """Reports a crash of our code, and ends the run: its figures can no longer be trusted."""
        foreseen = isinstance(error, RingfenceError)
        self.problem = str(error) if foreseen else crash.report("the Locust master", error)
        self._fault("swarm_master_crashed", f"the Locust master could not go on: {crash.reason(error)}", "invalid")
        self.exit_with(error.exit_code if isinstance(error, RingfenceError) else ExitCode.CRASHED)
        if self.phase in (RunPhase.READY, RunPhase.LOADING):
            self._guard.spawn(self.end, 0, interrupted=True)
        elif self.phase is RunPhase.ENDING:  # it was the end that crashed
            self.phase = RunPhase.ENDED

    def exit_with(self, code: ExitCode) -> None:
        """Sets the exit code of a headless run. The first code other than PASS stays. The web UI outlives its runs."""
        if self.is_headless and self.environment.process_exit_code in (None, int(ExitCode.PASS)):
            self.environment.process_exit_code = int(code)

    # -- what Locust's events ask for

    def on_spawning_complete(self) -> None:
        """All users are started: begins the load as soon as their people are online."""
        if self.phase is RunPhase.READY:
            self._greenlets.append(self._guard.spawn(self._begin))

    def end(self, drain_s: float | None = None, *, interrupted: bool = False) -> None:
        """Ends the load and waits until the data of every worker are safe. Several greenlets may call it at once.

        ``drain_s``: time for calls to end by themselves. None: as the plan says.
        """
        if drain_s == 0 and self._workers is not None:
            self._workers.skip_drain()
        with self._lock:
            if self.phase not in (RunPhase.READY, RunPhase.LOADING) or self._spec is None or self._workers is None:
                return
            self.phase = RunPhase.ENDING
            drain_s = self._spec.plan.effective_drain_s if drain_s is None else drain_s
            logger.info("The load ends: waiting up to %.0f s for calls to end by themselves", drain_s)
            self._workers.end(drain_s)
            self._finish(interrupted)

    def on_test_stopping(self) -> None:
        """Locust stops the test. If the run is not over, it was interrupted."""
        if self.phase in (RunPhase.READY, RunPhase.LOADING, RunPhase.ENDING):
            self.exit_with(ExitCode.INTERRUPTED)
            self.end(0, interrupted=True)

    def terminate(self) -> None:
        """SIGTERM in a headless run: once the run has ended, its shape lets Locust leave. Before, there is no shape."""
        if self.phase is RunPhase.IDLE:
            raise SystemExit(int(ExitCode.INTERRUPTED))
        self.on_test_stopping()

    def on_test_stop(self) -> None:
        """The users are gone: the next start prepares anew."""
        self.phase = RunPhase.IDLE

    def close(self) -> None:
        """Ends the service that we started, if any. For the very end of the process."""
        if self._target is not None:
            self._target.stop()
            self._target = None

    # -- what workers say

    def _on_second(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self._workers is not None:
            self._workers.receive_stats(msg.data)

    def _on_presence(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self._workers is not None:
            self._workers.receive_presence(msg.data)

    def _on_time(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        self._answer(
            msg, shutdown_protocol.TIME_IS, {"sent_at_s": msg.data["sent_at_s"], "master_at_s": self._clock.unix_s()}
        )

    def _on_chunk(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        answer = self._workers.receive_chunk(msg.data) if self._workers is not None else None
        if answer is not None:
            self._answer(msg, upload.RECEIVED, answer)

    def _answer(self, msg: Any, message: str, data: dict[str, Any]) -> None:
        self._runner.send_message(message, data, None if msg.node_id == LOCAL else msg.node_id)

    def _on_fault(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        self._fault(
            msg.data["what"], msg.data["detail"], msg.data["severity"], ends_load=msg.data.get("ends_load", False)
        )
        if msg.data["what"] == ENGINE_NOT_STARTED:
            self.problem = msg.data["detail"]
            self.exit_with(ExitCode.ENVIRONMENT)
            self._guard.spawn(self.end, 0, interrupted=True)

    def _on_drained(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self._workers is not None:
            self._workers.receive_drained(msg.data["slot"])

    def _on_closing(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self._workers is not None:
            self._workers.receive_closing(msg.data["slot"], msg.data["step"], msg.data["left"], msg.data["limit_s"])

    def _on_final(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self._workers is not None:
            self._workers.receive_final(msg.data["slot"], msg.data["second"])
        self._answer(msg, shutdown_protocol.ACK, {})

    # -- our own greenlets

    def _begin(self) -> None:
        spec = self._spec
        if spec is None:
            return
        with gevent.Timeout(SIGN_IN_S, False):
            while self.stats.total("signed_in") < ALMOST_ALL * spec.plan.people:
                gevent.sleep(0.1)
        if self.phase is RunPhase.READY:
            self.phase = RunPhase.LOADING
            self._loading_since_s = self._clock.monotonic_s()
            logger.info("%d people are online: the load begins", self.stats.total("signed_in"))
            self._runner.send_message(shutdown_protocol.GO, {})
            if spec.plan.is_stepwise:
                self._greenlets.append(self._guard.spawn(self._walk, spec))

    def _walk(self, spec: RunSpec) -> None:
        """Runs the steps of a stepwise load, and ends the run after the last."""

        def set_level(level: dict[str, object]) -> None:
            self._runner.send_message(shutdown_protocol.LEVEL, level)

        longest_s = spec.occupancy().longest_s()
        self._driver = StepDriver(spec.plan.stepwise(), spec.run_folder, spec.slo, longest_s, set_level, self._clock)
        try:
            result = self._driver.run()
        except RingfenceError as error:
            self._fault("step_not_judged", f"{error} {error.hint}".strip(), "invalid")
            self.exit_with(error.exit_code)
        except OSError as error:
            self._fault("step_not_judged", f"the step cannot be judged or written: {error}", "invalid")
            self.exit_with(ExitCode.INVALID)
        else:
            logger.info("%s", result.sentence)
            self.exit_with(ExitCode[result.verdict])
        self.end()

    def _every_second(self) -> None:
        while self.phase is not RunPhase.ENDED:
            gevent.sleep(1.0)
            if self._workers is not None:
                self._workers.watch()
            if self._live is not None:
                self._live.second(self._clock.unix_s(), self.stage, self.wanted_calls)
                if self._live.problem and self.phase in (RunPhase.READY, RunPhase.LOADING):
                    self._fault("live_not_written", self._live.problem, "invalid", ends_load=True)
            length_s = self._spec.plan.length_s() if self._spec else None
            if self.phase is RunPhase.LOADING and length_s is not None and self.elapsed_s >= length_s:
                self._guard.spawn(self.end)
            if self._target is not None and not self._target.is_running() and self.phase is RunPhase.LOADING:
                self._fault("service_lost", "the reference service ended while it was under load", "fail")
                self._target = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the load began."""
        return self._clock.monotonic_s() - self._loading_since_s

    @property
    def stage(self) -> str:
        """The current stage of the plan, or what the run does outside of the stages."""
        if self.phase is RunPhase.LOADING and self._driver is not None:
            return self._driver.stage
        if self.phase is RunPhase.LOADING and self._spec is not None:
            return self._spec.plan.stage_at(self.elapsed_s)
        return {RunPhase.READY: "sign-in", RunPhase.ENDING: "drain"}.get(self.phase, "")

    @property
    def wanted_calls(self) -> float | None:
        """The planned number of calls in progress now. None: there is no load."""
        if self.phase is not RunPhase.LOADING or self._spec is None:
            return None
        if self._spec.plan.is_stepwise:
            return self._driver.level_calls if self._driver is not None else None
        return planned_calls(self._spec.plan, 1.0)(self.elapsed_s)

    @property
    def run_id(self) -> str:
        """Id of this run or the last one. Empty before the first."""
        return self._spec.run_id if self._spec else ""

    @property
    def live(self) -> SwarmLiveWriter | None:
        """Live data of this run or the last one. None before the first."""
        return self._live

    def _finish(self, interrupted: bool) -> None:
        now_s = self._clock.unix_s()
        self.phase = RunPhase.ENDED
        if self._driver is not None:
            self._driver.close()
        if self._live is not None:
            self._live.end(now_s, interrupted=interrupted)
        if self._folder is not None and self._live is not None:
            problem = self._folder.close(now_s, interrupted=interrupted, faults=self._live.faults)
            if problem:
                self._fault("manifest_not_written", problem, "invalid")
        self._settle_exit_code()
        gevent.killall([one for one in self._greenlets if one is not gevent.getcurrent()], block=False)

    def _settle_exit_code(self) -> None:
        """Sets the exit code by the worst fault. Without a fault, Locust decides (``--exit-code-on-error``)."""
        severities = {fault["severity"] for fault in self._live.faults} if self._live is not None else set()
        if self._folder is None or not self._folder.is_ours:
            self.exit_with(ExitCode.PASS)
        elif "fail" in severities:
            self.exit_with(ExitCode.FAIL)
        elif "invalid" in severities:
            self.exit_with(ExitCode.INVALID)

    def _closing(self, slot: int, step: str, left: int, limit_s: float) -> None:
        if self._live is not None:
            self._live.closing(self._clock.unix_s(), slot, step, left, limit_s)

    def _fault(self, what: str, detail: str, severity: Severity, *, ends_load: bool = False) -> None:
        if self._live is not None:
            self._live.fault(self._clock.unix_s(), what, detail, severity, ends_load=ends_load)
        if ends_load and self.phase in (RunPhase.READY, RunPhase.LOADING):
            logger.error("The load ends now: its records cannot be kept any more")
            self.exit_with(ExitCode.INVALID)
            self._guard.spawn(self.end, 0)

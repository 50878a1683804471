"""A worker process's side: listens to Locust and to the master, and keeps the run that is on."""

from __future__ import annotations

import logging
from typing import Any

from locust.env import Environment
from locust.runners import WorkerRunner

from bedrock import crash
from bedrock.clock import Clock
from bedrock.errors import RingfenceError
from bedrock.exit_codes import ExitCode
from loadtests.crash_guard import CrashGuard
from loadtests.records import upload
from loadtests.records.worker_location import WorkerLocation, locate_worker
from loadtests.wire import shutdown_protocol
from loadtests.wire.run_spec import LOCAL, SPEC_OPTION, RunSpec
from loadtests.worker.worker_run import WorkerRun

logger = logging.getLogger(__name__)


class SwarmWorker:
    """One per Locust worker process, or per Locust process that is its own worker. Lives as long as the process."""

    def __init__(self, environment: Environment, clock: Clock) -> None:
        self.environment = environment
        self.clock = clock
        self.run: WorkerRun | None = None
        self._user_crash_reported = False
        self._guard = CrashGuard(self.crashed)
        options: Any = environment.parsed_options
        # Read now: when a test starts, Locust puts the master's options in the place of ours.
        self._media_address, self._run_folder = options.media_address, options.run_folder
        for message, listener in (
            (shutdown_protocol.GO, self._on_go),
            (shutdown_protocol.OTHERS, self._on_others),
            (shutdown_protocol.LEVEL, self._on_level),
            (shutdown_protocol.END, self._on_end),
            (shutdown_protocol.CLOSE, self._on_close),
            (shutdown_protocol.ACK, self._on_ack),
            (shutdown_protocol.TIME_IS, self._on_time),
            (upload.RECEIVED, self._on_received),
        ):
            self._runner.register_message(message, self._guard.guarded(listener))

    @property
    def _runner(self) -> Any:
        return self.environment.runner

    def start_run(self) -> None:
        """Starts the engine for the run that the master describes. For Locust's ``test_start``."""
        wire = vars(self.environment.parsed_options).get(SPEC_OPTION)
        if wire is None:
            return
        spec = RunSpec.from_wire(wire)
        client_id = self._runner.client_id if isinstance(self._runner, WorkerRunner) else LOCAL
        slot = spec.slots.get(client_id)
        if slot is None:
            logger.warning("This worker joined after the run was dealt out: it stays idle until the next run")
            self.run = None
            return
        location, problem = WorkerLocation(spec.run_folder), None
        try:
            location = locate_worker(spec, slot, self._media_address, self._run_folder)
        except RingfenceError as error:
            problem = error
        self.run = WorkerRun(self.environment, self.clock, spec, slot, location, self._guard)
        self.run.start_engine(problem)

    def end_now(self) -> None:
        """Ends the run at once, data kept. Returns when they are safe. For a worker that is told to go."""
        if self.run is not None:
            self.run.end(0)
            self.run.close()

    def crashed(self, error: Exception) -> None:
        """Tells of a crash of ours: the run is INVALID, and this process ends with 70."""
        if isinstance(error, RingfenceError):  # foreseen, and told of where it was raised: an engine that is gone
            logger.error("%s", error)
            return
        sentence = crash.report("a Locust worker", error)
        self.environment.process_exit_code = int(ExitCode.CRASHED)
        fault = {"what": "swarm_worker_crashed", "detail": sentence, "severity": "invalid"}
        self._runner.send_message(shutdown_protocol.FAULT, fault)

    def user_crashed(self, error: Exception) -> None:
        """A task of a Locust user raised; all of them are alike, so the first is told of. For ``user_error``."""
        if not self._user_crash_reported and not isinstance(error, RingfenceError):
            self._user_crash_reported = True
            self.crashed(error)

    # -- what the master says

    def _on_go(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self.run is not None:
            self.run.go()

    def _on_level(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self.run is not None:
            self.run.set_level(msg.data)

    def _on_others(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self.run is not None:
            self.run.receive_presence(msg.data["online"], msg.data["busy"])

    def _on_end(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self.run is not None:
            self._guard.spawn(self.run.end, msg.data["drain_s"])

    def _on_close(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self.run is not None:
            self._guard.spawn(self.run.close)

    def _on_ack(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self.run is not None:
            self.run.acknowledged.set()

    def _on_time(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self.run is not None:
            self.run.clock_offset.hear(msg.data["sent_at_s"], msg.data["master_at_s"], self.clock.unix_s())

    def _on_received(self, environment: Environment, msg: Any, **_kwargs: Any) -> None:
        if self.run is not None and self.run.uploader is not None:
            self.run.uploader.hear(msg.data["file"], msg.data["offset"])

"""Runs one attempt at one cell, from opening the link to ``cell.json``. It closes everything that it opened."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field

from calls.records.record import Blame, LegRecord
from device_matrix.artifacts import ERROR, REPLAY, STEPS, Artifacts, StepLog, replay_command
from device_matrix.attempt.assertions import (
    STARVED_RATIO,
    MediaEvidence,
    judge_media,
    require_cpu_available,
    require_link_model_kept,
    require_media_over_link,
)
from device_matrix.attempt.cell_environment import CellEnvironment, open_cell_environment
from device_matrix.attempt.evidence import (
    CallEvidence,
    collect_evidence,
    device_leg,
    require_environment_alive,
    write_samples,
)
from device_matrix.attempt.figures import CellFigures, cell_figures, cpu_figures, setup_ms
from device_matrix.attempt.result import cell_result
from device_matrix.attempt.watchdog import Watchdog
from device_matrix.attempt.worker import Worker
from device_matrix.cells import Cell
from device_matrix.cpu.pressure import PressureGauge
from device_matrix.drivers.protocol import PageTimeout
from device_matrix.errors import CellEnvironmentError, DeviceUnavailable
from device_matrix.hook.client import HookClient
from device_matrix.pages.app_page import AppPage
from device_matrix.scenarios import SCENARIOS
from device_matrix.scenarios.call_flow import CallContext
from device_matrix.scenarios.expectation import ProductFailure
from reports.run.cells import CellResult, CellStatus, write_cell

OPEN_TIMEOUT_S = 30.0
STEP_LIMIT_S = 45.0
"""Every wait inside a step is shorter. A step that takes longer hangs: its browser is killed."""
SIGN_IN_TIMEOUT_S = 20.0
"""The slowest profile (18 kbit/s, 1.3 s of round trip) needs about 15 s for the page and 10 s for the sign-in."""


@dataclass(slots=True)
class AttemptVerdict:
    """How the attempt ended."""

    status: CellStatus = CellStatus.PASSED
    blame: Blame = Blame.NOBODY
    reason: str = ""
    detail: str = ""

    def note(self, status: CellStatus, blame: Blame, reason: str, detail: str) -> None:
        """Records the first failure; later ones follow from it and change nothing."""
        if self.status is CellStatus.PASSED:
            self.status, self.blame, self.reason, self.detail = status, blame, reason, detail


@dataclass(slots=True)
class Attempt:
    """One attempt, run once. ``run`` raises only for Ctrl-C and exits, and writes the result even then."""

    worker: Worker
    cell: Cell
    number: int
    verdict: AttemptVerdict = field(default_factory=AttemptVerdict)
    figures: CellFigures = field(default_factory=dict)
    shaping: dict[str, object] = field(default_factory=dict)
    call_id: str = ""
    _watchdog: Watchdog | None = None
    artifacts: Artifacts = field(init=False)
    steps: StepLog = field(init=False)

    def __post_init__(self) -> None:
        self.artifacts = Artifacts(self.worker.run_folder, self.cell.id, self.number)
        self.steps = StepLog(self.worker.clock, self._on_step)

    def run(self) -> CellResult:
        """Runs the attempt. Returns its result, which is already in its folder."""
        started_at_s = self.worker.clock.unix_s()
        try:
            with self._recording_errors(), contextlib.ExitStack() as stack:
                environment = open_cell_environment(
                    stack, self.worker, self.cell, self.number, self.artifacts, self.steps
                )
                self.shaping = environment.shaping.to_dict()
                self._call(environment)
                self.steps.begin("release")
        finally:
            result = self._write(started_at_s)
        return result

    def _call(self, environment: CellEnvironment) -> None:
        scenario = SCENARIOS[self.cell.scenario]
        generation = self.worker.networks[self.cell.network].generation
        hook = HookClient(environment.browser, self.artifacts)
        context = CallContext(
            page=AppPage(environment.browser),
            hook=hook,
            far_end=environment.peer,
            clock=self.worker.clock,
            steps=self.steps,
            limits=scenario.limits(generation),
            sustain_s=self.worker.settings.sustain_s,
        )
        self._watchdog = Watchdog(STEP_LIMIT_S + context.sustain_s, environment.group.kill)
        pressure = PressureGauge(self.worker.clock)
        failure: ProductFailure | None = None
        with self._watchdog:
            try:
                with self._recording_errors():
                    self._open_app(environment, context)
                    scenario.run(context)
            except ProductFailure as found:
                failure = found
            finally:
                self.steps.begin("collect")
                evidence = collect_evidence(environment, hook, context, self.worker, self.artifacts, pressure)
        self.steps.begin("judge")
        self._judge(environment, context, evidence, failure)

    def _on_step(self) -> None:
        self.worker.stop_request.check()
        if self._watchdog is not None:
            self._watchdog.feed()

    def _open_app(self, environment: CellEnvironment, context: CallContext) -> None:
        self.steps.begin("open_page")
        try:
            context.page.open(environment.url, OPEN_TIMEOUT_S)
            self.steps.begin("sign_in")
            context.page.sign_in(environment.user.name, environment.user.password, SIGN_IN_TIMEOUT_S)
        except PageTimeout as error:
            starved = environment.group.throttled_s() > STARVED_RATIO * OPEN_TIMEOUT_S
            blame = Blame.DEVICE if starved else Blame.TARGET
            sentence = f"the app did not load and sign in: {error}"
            raise ProductFailure(f"{self.steps.current}_timeout", sentence, blame) from error

    def _judge(
        self, environment: CellEnvironment, context: CallContext, evidence: CallEvidence, failure: ProductFailure | None
    ) -> None:
        """Finds the verdict. The harness is checked first: where a part of it failed, the product can't be judged."""
        self.call_id = context.call_id
        try:
            with self._recording_errors():
                require_environment_alive(environment, evidence, whole_call=failure is None)
                require_link_model_kept(evidence.drops)
                if environment.capture is not None:  # without a link the browser itself shapes all that it sends
                    require_media_over_link(
                        evidence.connection,
                        device_address=environment.link.device_address,
                        host_address=environment.link.host_address,
                        proven=failure is None,
                    )
                if failure is None:
                    failure = self._media_failure(context, environment, evidence)
                if failure is not None:
                    require_cpu_available(failure, evidence.pressure_ratio)
                    raise failure
        except ProductFailure as found:
            self.verdict.note(CellStatus.FAILED, found.blame, found.reason, found.detail)
        if context.placed_at_s is None:
            return
        leg = self._device_leg(context, environment, evidence, (self.verdict.reason, self.verdict.blame))
        device = self.worker.devices[self.cell.device]
        self.figures = {**cell_figures(leg, evidence, context), **cpu_figures(environment.cpu, device)}
        if context.call_id:
            self.worker.legs.append(leg)
            write_samples(evidence, self.worker, self.cell, context.call_id)
            self.worker.flush()

    def _media_failure(
        self, context: CallContext, environment: CellEnvironment, evidence: CallEvidence
    ) -> ProductFailure | None:
        try:
            judge_media(self._media(context, environment, evidence), context.limits)
        except ProductFailure as failure:
            return failure
        return None

    def _media(self, context: CallContext, environment: CellEnvironment, evidence: CallEvidence) -> MediaEvidence:
        leg = self._device_leg(context, environment, evidence, ("", Blame.NOBODY))
        span_s = max(1.0, evidence.ended_at_s - (context.placed_at_s or evidence.ended_at_s))
        return MediaEvidence(
            audio=evidence.audio,
            setup_ms=setup_ms(leg, evidence.far_leg),
            effective_loss_ratio=leg.effective_loss_ratio,
            link_drops=evidence.drops.total,
            throttled_ratio=evidence.throttled_s / span_s,
        )

    def _device_leg(
        self,
        context: CallContext,
        environment: CellEnvironment,
        evidence: CallEvidence,
        failure: tuple[str, Blame],
    ) -> LegRecord:
        return device_leg(evidence, context, environment, self.worker, self.cell, self.number, failure)

    @contextlib.contextmanager
    def _recording_errors(self) -> Iterator[None]:
        try:
            yield
        except ProductFailure:
            self.worker.stop_request.check()
            raise
        except CellEnvironmentError as error:
            self._raise_if_stopping(error)
            if self._watchdog is not None and self._watchdog.fired:
                error = DeviceUnavailable(f"the browser hung and was killed: {error.message}", reason="browser_hung")
            detail = f"{error.message} (in step {self.steps.current})"
            self.verdict.note(CellStatus.ENVIRONMENT_ERROR, error.blame, error.reason, detail)
        except Exception as error:
            self._raise_if_stopping(error)
            # An unexpected exception is the harness's fault: it must neither fail the product nor end the run.
            detail = f"{type(error).__name__}: {error} (in step {self.steps.current})"
            self.verdict.note(CellStatus.ENVIRONMENT_ERROR, Blame.GENERATOR, "harness_error", detail)
            self.artifacts.text(ERROR, traceback.format_exc().splitlines())
        except BaseException:
            self._note_interrupted()
            raise

    def _raise_if_stopping(self, error: Exception) -> None:
        """After a stop request every error counts as interruption."""
        if self.worker.stop_request.requested:
            self._note_interrupted()
            raise KeyboardInterrupt from error

    def _note_interrupted(self) -> None:
        self.verdict.note(CellStatus.ENVIRONMENT_ERROR, Blame.GENERATOR, "interrupted", "the run was interrupted")

    def _write(self, started_at_s: float) -> CellResult:
        worker, cell = self.worker, self.cell
        replay = replay_command(worker.settings.plan, cell.id)
        self.artifacts.text(REPLAY, [replay])
        self.artifacts.text(STEPS, self.steps.lines())
        result = cell_result(
            cell,
            worker.devices[cell.device],
            worker.networks[cell.network].generation,
            attempt=self.number,
            status=self.verdict.status,
            blame=self.verdict.blame,
            reason=self.verdict.reason,
            detail=self.verdict.detail,
            started_at_s=started_at_s,
            duration_s=round(worker.clock.unix_s() - started_at_s, 3),
            call_id=self.call_id,
            replay=replay,
            shaping=self.shaping,
            figures=self.figures,
            artifacts=sorted(self.artifacts.names),
        )
        write_cell(worker.run_folder, result)
        return result

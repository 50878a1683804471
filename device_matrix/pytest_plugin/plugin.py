"""Makes a pytest run out of a plan: one test a cell, spread over xdist's workers, the longest cells first.

The controller checks the command line, starts what is shared (an Appium server, and a service when no target is
named) and hands plain data down; a worker keeps one far end and its drivers. What a cell finds is in the run folder
before pytest hears of it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from bedrock import crash
from bedrock.clock import SystemClock
from bedrock.end_signals import end_signals
from bedrock.environment_input import check_environment
from bedrock.errors import InputError, RingfenceError
from bedrock.exit_codes import ExitCode
from device_matrix.artifacts import next_attempt
from device_matrix.attempt.execution import Attempt
from device_matrix.attempt.lifetime import die_with_parent, interrupt_on
from device_matrix.attempt.worker import RunSettings, Worker
from device_matrix.cells import Cell
from device_matrix.devices import catalogue
from device_matrix.network.user_namespace import needs_user_namespace
from device_matrix.plan.options import Options, add_options, read_options
from device_matrix.pytest_plugin.controller import Controller, WorkerInput
from device_matrix.pytest_plugin.deaths import write_death
from device_matrix.pytest_plugin.exit_status import SessionOutcomes, exit_usage_on_wrong_options, our_exit_code
from network_profiles import load_catalogue
from network_profiles.links.rootless import enter_if_needed
from reports.run.cells import CellResult, CellStatus
from reports.run.live import LiveWriter

ATTEMPT_LIMIT_S = 300.0
"""No attempt takes this long: every step has a limit of its own (execution.STEP_LIMIT_S). The last resort."""
WORKER_INPUT_KEY = "device_matrix"
WORKER_INPUT = pytest.StashKey[WorkerInput]()
CONTROLLER = pytest.StashKey[Controller]()


class InterruptHook:
    """A hook that pytest calls without its config, and so has to know its controller."""

    def __init__(self, controller: Controller, plugins: pytest.PytestPluginManager) -> None:
        self._controller = controller
        self._plugins = plugins

    def pytest_keyboard_interrupt(self) -> None:
        """Lets the workers release their cells now: xdist itself only closes their pipes, and kills them after 10 s.

        A worker bounds its own end, by what its far end says of its progress; xdist knows nothing of that.
        """
        self._controller.interrupt_workers()
        session = self._plugins.getplugin("dsession")
        if session is not None and session.nodemanager is not None:
            session.nodemanager.EXIT_TIMEOUT = ATTEMPT_LIMIT_S


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --plan, --run-folder, --target, --cell and the filters."""
    add_options(parser)
    exit_usage_on_wrong_options(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """Ends the whole with one of our exit codes: pytest's own mean other things."""
    if hasattr(config, "workerinput"):
        return (yield)
    outcomes = SessionOutcomes()
    config.pluginmanager.register(outcomes, "device-matrix-outcomes")
    try:
        code = yield
    except pytest.UsageError as error:
        for sentence in error.args:
            print(f"ERROR: {sentence}", file=sys.stderr)
        return int(ExitCode.USAGE)
    except Exception as error:
        crash.report("pytest device_matrix", error)
        return int(ExitCode.CRASHED)
    return None if code is None else our_exit_code(code, outcomes)


def pytest_internalerror(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Says that we crashed, and where the traceback is."""
    crash.report("pytest device_matrix", excinfo.value)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Controller: checks everything that was written. Worker: takes what it was handed down."""
    handed_down = getattr(config, "workerinput", None)
    if handed_down is not None:
        config.stash[WORKER_INPUT] = WorkerInput.from_dict(handed_down[WORKER_INPUT_KEY])
        die_with_parent()
        return
    if config.option.help or config.option.version:
        return
    # Packing needs the queue: a worker that holds many cells in advance would end last with all of them.
    if hasattr(config.option, "maxschedchunk") and config.option.maxschedchunk is None:
        config.option.maxschedchunk = 1
    try:
        check_environment()
        options = read_options(config)
        _go_where_links_are(config, options)
        controller = config.stash[CONTROLLER] = Controller(options)
        config.pluginmanager.register(InterruptHook(controller, config.pluginmanager), "device-matrix-interrupt")
    except RingfenceError as error:
        _leave(error)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Starts what the workers share."""
    controller = session.config.stash.get(CONTROLLER, None)
    if controller is None or session.config.option.collectonly:
        return
    for number in end_signals():
        interrupt_on(number)
    session.config.add_cleanup(lambda: crash.keep_in(None))
    crash.keep_in(controller.options.run_folder)
    try:
        session.config.stash[WORKER_INPUT] = controller.start()
    except RingfenceError as error:
        controller.stop()
        _leave(error)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hands the run down to one worker."""
    node.workerinput[WORKER_INPUT_KEY] = node.config.stash[WORKER_INPUT].to_dict()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Makes a test of every cell, in the plan's own order: xdist wants the same list from every worker."""
    if "cell" in metafunc.fixturenames:
        cells = _cells(metafunc.config)
        metafunc.parametrize("cell", cells, ids=[cell.id for cell in cells])


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Bounds every test by what its attempts may take."""
    shared = config.stash.get(WORKER_INPUT, None)
    if shared is None or not config.pluginmanager.hasplugin("timeout"):
        return
    attempts = shared.settings.retries_environment + 1
    for item in items:
        item.add_marker(pytest.mark.timeout(ATTEMPT_LIMIT_S * attempts))


@pytest.fixture(scope="session")
def matrix_worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """The worker process's own, for as long as it lives."""
    name = f"matrix-{getattr(request.config, 'workerinput', {}).get('workerid', 'main')}"
    worker = Worker(name, request.config.stash[WORKER_INPUT].settings, catalogue(), load_catalogue(), SystemClock())
    with worker.stop_request.handling_signals():
        try:
            worker.warm_up()
            yield worker
        finally:
            worker.close()


class AttemptFactory(Protocol):
    """Makes one attempt at a cell."""

    def __call__(self, worker: Worker, cell: Cell, number: int) -> RunnableAttempt:
        """Returns the attempt of that number."""


class RunnableAttempt(Protocol):
    """One attempt, ready to run once."""

    def run(self) -> CellResult:
        """Returns its result, written to its folder already."""


def run_cell(worker: Worker, cell: Cell, item: pytest.Item, attempting: AttemptFactory = Attempt) -> None:
    """Runs ``cell``, and again after an environment error as often as the plan allows. Fails unless it passed."""
    live = LiveWriter(worker.run_folder / "live" / "matrix.jsonl")
    results: list[CellResult] = []
    while not results or _may_retry(results, worker.settings):
        number = next_attempt(worker.run_folder, cell.id)
        live.emit("start", cell=cell.id, attempt=number, worker=worker.name, at_s=worker.clock.unix_s())
        result = attempting(worker, cell, number).run()
        live.emit(
            "end", cell=cell.id, attempt=number, status=result.status.value, reason=result.reason,
            at_s=worker.clock.unix_s(),
        )  # fmt: skip
        write_death(worker.run_folder, result, worker.clock.unix_s())
        results.append(result)
        worker.stop_request.check()
    last = results[-1]
    item.user_properties += [
        ("cell", cell.id),
        ("driver", cell.driver.value),
        ("status", last.status.value),
        ("blame", last.blame.value),
        ("reason", last.reason),
        ("attempts", len(results)),
        ("call_id", last.call_id),
        ("replay", last.replay),
    ]
    if last.status is not CellStatus.PASSED:
        pytest.fail(f"{last.status.value} [{last.reason}] {last.detail}\nreplay: {last.replay}", pytrace=False)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Notes a worker that ended by itself."""
    controller = node.config.stash.get(CONTROLLER, None)
    if controller is not None and error:
        controller.worker_died(str(node.gateway.id), str(error))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes the result of a cell whose worker died in it: xdist reports those with a phase of ``???``."""
    crashed = getattr(report, "when", "") == "???"
    node = getattr(report, "node", None)
    controller = node.config.stash.get(CONTROLLER, None) if node is not None else None
    if crashed and controller is not None:
        controller.cell_lost(report.nodeid, str(node.gateway.id) if node is not None else "")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends what was started."""
    controller = session.config.stash.get(CONTROLLER, None)
    if controller is not None:
        controller.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says where the run is."""
    controller = config.stash.get(CONTROLLER, None)
    if controller is not None and WORKER_INPUT in config.stash:
        terminalreporter.write_line(f"run folder: {controller.options.run_folder}")


def _go_where_links_are(config: pytest.Config, options: Options) -> None:
    """Begins again in a user namespace where that gives an ordinary user links: only as a program of our own."""
    program = Path(sys.argv[0])
    if config.option.collectonly or "pytest" not in {program.stem, program.parent.name}:
        return
    if not needs_user_namespace(options.plan.matrix.backend, options.target_url):
        return
    captured = config.pluginmanager.getplugin("capturemanager")
    if captured is not None:
        captured.suspend_global_capture(in_=True)  # what takes our place writes to the true stdout
    enter_if_needed(sys.orig_argv)


def _cells(config: pytest.Config) -> list[Cell]:
    shared = config.stash.get(WORKER_INPUT, None)
    if shared is not None:
        return shared.cells
    return config.stash[CONTROLLER].options.cells


def _may_retry(results: Sequence[CellResult], settings: RunSettings) -> bool:
    last = results[-1]
    return last.status is CellStatus.ENVIRONMENT_ERROR and len(results) <= settings.retries_environment


def _leave(error: RingfenceError) -> None:
    if isinstance(error, InputError):
        text = str(error)
    else:
        text = f"{error.message}" + (f"\n{error.hint}" if error.hint else "")
    pytest.exit(text, returncode=int(error.exit_code))

"""Turns a plan into a pytest run: one test per cell, spread over xdist's workers, longest cells first.

The controller checks the command line, starts the shared servers (Appium, and a service when no target is named), and
hands plain data to the workers. Each worker keeps one far end and its drivers. A cell's result is in the run folder
before pytest gets it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bedrock import crash
from bedrock.clock import SystemClock
from bedrock.end_signals import end_signals
from bedrock.environment_input import check_environment
from bedrock.errors import InputError, RingfenceError
from bedrock.exit_codes import ExitCode
from device_matrix.attempt.lifetime import die_with_parent, interrupt_on
from device_matrix.attempt.worker import Worker
from device_matrix.cells import Cell
from device_matrix.devices import catalogue
from device_matrix.network.user_namespace import needs_user_namespace
from device_matrix.plan.options import Options, add_options, read_options
from device_matrix.pytest_plugin.controller import Controller, WorkerInput
from device_matrix.pytest_plugin.exit_status import SessionOutcomes, exit_usage_on_wrong_options, our_exit_code
from network_profiles import load_catalogue
from network_profiles.links.rootless import enter_if_needed

ATTEMPT_LIMIT_S = 300.0
"""The last resort. Attempts are shorter: every step has its own limit (execution.STEP_LIMIT_S)."""
WORKER_INPUT_KEY = "device_matrix"
WORKER_INPUT = pytest.StashKey[WorkerInput]()
CONTROLLER = pytest.StashKey[Controller]()


class InterruptHook:
    """Handles Ctrl-C. Pytest calls this hook without its config, so the plugin has to know its controller."""

    def __init__(self, controller: Controller, plugins: pytest.PytestPluginManager) -> None:
        self._controller = controller
        self._plugins = plugins

    def pytest_keyboard_interrupt(self) -> None:
        """Asks the workers to end their cells now. By itself xdist closes their pipes, and kills them after 10 s.

        A worker limits its own end by the progress of its far end, which xdist does not know. So xdist waits longer.
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
    """Ends the run with one of our exit codes: pytest's own have other meanings."""
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
    """Reports a crash of ringfence, and where its traceback is."""
    crash.report("pytest device_matrix", excinfo.value)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """In the controller: checks the plan and the command line. In a worker: reads the controller's data."""
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        config.stash[WORKER_INPUT] = WorkerInput.from_dict(worker_input[WORKER_INPUT_KEY])
        die_with_parent()
        return
    if config.option.help or config.option.version:
        return
    # With chunks of one cell the longest cells spread over all workers; a worker with a long queue would end last.
    if hasattr(config.option, "maxschedchunk") and config.option.maxschedchunk is None:
        config.option.maxschedchunk = 1
    try:
        check_environment()
        options = read_options(config)
        _enter_user_namespace_if_needed(config, options)
        controller = config.stash[CONTROLLER] = Controller(options)
        config.pluginmanager.register(InterruptHook(controller, config.pluginmanager), "device-matrix-interrupt")
    except RingfenceError as error:
        _exit_with(error)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Starts the shared servers."""
    controller = session.config.stash.get(CONTROLLER, None)
    if controller is None or session.config.option.collectonly:
        return
    for number in end_signals():
        interrupt_on(number)
    session.config.add_cleanup(lambda: crash.set_run_folder(None))
    crash.set_run_folder(controller.options.run_folder)
    try:
        session.config.stash[WORKER_INPUT] = controller.start()
    except RingfenceError as error:
        controller.stop()
        _exit_with(error)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hands the run's data to one worker."""
    node.workerinput[WORKER_INPUT_KEY] = node.config.stash[WORKER_INPUT].to_dict()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Makes one test of every cell, in the plan's order: xdist needs the same list from every worker."""
    if "cell" in metafunc.fixturenames:
        cells = _cells(metafunc.config)
        metafunc.parametrize("cell", cells, ids=[cell.id for cell in cells])


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Limits every test to the time that all its attempts may take."""
    shared = config.stash.get(WORKER_INPUT, None)
    if shared is None or not config.pluginmanager.hasplugin("timeout"):
        return
    attempts = shared.settings.retries_environment + 1
    for item in items:
        item.add_marker(pytest.mark.timeout(ATTEMPT_LIMIT_S * attempts))


@pytest.fixture(scope="session")
def matrix_worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """Provides the worker process's drivers, far end and writers, until the session ends."""
    name = f"matrix-{getattr(request.config, 'workerinput', {}).get('workerid', 'main')}"
    worker = Worker(name, request.config.stash[WORKER_INPUT].settings, catalogue(), load_catalogue(), SystemClock())
    with worker.stop_request.handling_signals():
        try:
            worker.warm_up()
            yield worker
        finally:
            worker.close()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Writes a fault for a worker that ended by itself."""
    controller = node.config.stash.get(CONTROLLER, None)
    if controller is not None and error:
        controller.worker_died(str(node.gateway.id), str(error))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes the result of a cell whose worker died: xdist reports it with the phase ``???``."""
    crashed = getattr(report, "when", "") == "???"
    node = getattr(report, "node", None)
    controller = node.config.stash.get(CONTROLLER, None) if node is not None else None
    if crashed and controller is not None:
        controller.cell_lost(report.nodeid, str(node.gateway.id) if node is not None else "")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends the shared servers."""
    controller = session.config.stash.get(CONTROLLER, None)
    if controller is not None:
        controller.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the path of the run folder."""
    controller = config.stash.get(CONTROLLER, None)
    if controller is not None and WORKER_INPUT in config.stash:
        terminalreporter.write_line(f"run folder: {controller.options.run_folder}")


def _enter_user_namespace_if_needed(config: pytest.Config, options: Options) -> None:
    """Restarts the command in a user namespace when its links need one; only when pytest is the program itself."""
    program = Path(sys.argv[0])
    if config.option.collectonly or "pytest" not in {program.stem, program.parent.name}:
        return
    if not needs_user_namespace(options.plan.matrix.backend, options.target_url):
        return
    captured = config.pluginmanager.getplugin("capturemanager")
    if captured is not None:
        captured.suspend_global_capture(in_=True)  # the new program writes to the real stdout
    enter_if_needed(sys.orig_argv)


def _cells(config: pytest.Config) -> list[Cell]:
    shared = config.stash.get(WORKER_INPUT, None)
    if shared is not None:
        return shared.cells
    return config.stash[CONTROLLER].options.cells


def _exit_with(error: RingfenceError) -> None:
    if isinstance(error, InputError):
        text = str(error)
    else:
        text = f"{error.message}" + (f"\n{error.hint}" if error.hint else "")
    pytest.exit(text, returncode=int(error.exit_code))

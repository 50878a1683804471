"""Connects the swarm to Locust's events, in every kind of Locust process."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any, cast
from uuid import UUID, uuid4

import gevent
import locust
import locust.runners
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from bedrock.clock import SystemClock
from bedrock.end_signals import end_signals
from bedrock.environment_input import check_environment
from bedrock.errors import RingfenceError
from loadtests.crash_guard import CrashGuard, leave
from loadtests.master import master_port
from loadtests.master.master import SwarmMaster
from loadtests.records.machine import WORKER_NUMBER, require_free_port
from loadtests.user_shape import WholeSwarm
from loadtests.users import SwarmUser
from loadtests.web.calls_tab import CallsTab
from loadtests.web.start_form import StartForm
from loadtests.worker.worker import SwarmWorker

logger = logging.getLogger(__name__)

OWN_SERVICE = "reference service (own)"
"""Locust's web UI shows this as its host until the address is known."""


def install() -> None:
    """Adds our listeners. Called once, when the locustfile is imported."""
    events: Any = locust.events
    if number := os.environ.get(WORKER_NUMBER, ""):
        number_this_worker(int(number))
    master_port.install()
    form = StartForm()
    set_up = CrashGuard(leave)
    events.init_command_line_parser.add_listener(set_up.guarded(form.add_arguments))
    events.init.add_listener(set_up.guarded(lambda environment, **_kw: _on_init(environment, form)))


def number_this_worker(number: int) -> None:
    """Makes Locust's random id of this worker begin with its number.

    Locust deals out its users in the order of these ids, and so do we number workers: without this, who started the
    processes and who writes of "worker 1" would mean two different ones.
    """
    vars(locust.runners)["uuid4"] = lambda: UUID(f"{number:08x}{uuid4().hex[8:]}")


def _on_init(environment: Environment, form: StartForm) -> None:
    """Sets up the master's side, the worker's side, or both in a process that is its own worker."""
    check_environment()
    clock = SystemClock()
    if signal.SIGHUP in end_signals():
        # A terminal that was closed. Whoever handles SIGTERM by then, we or Locust, handles this.
        gevent.signal_handler(signal.SIGHUP, os.kill, os.getpid(), signal.SIGTERM)
    runner, events = environment.runner, cast("Any", environment.events)
    if isinstance(runner, (WorkerRunner, LocalRunner)):
        worker = SwarmWorker(environment, clock)
        SwarmUser.worker = worker
        of_worker = CrashGuard(worker.crashed).guarded
        events.test_start.add_listener(of_worker(lambda **_kw: worker.start_run()))
        events.test_stop.add_listener(of_worker(lambda **_kw: worker.end_now()))
        # Fired in reverse order of registration: before Locust's own listener tells the master that we quit.
        events.quitting.add_listener(of_worker(lambda **_kw: worker.end_now()))
        events.user_error.add_listener(lambda exception, **_kw: worker.user_crashed(exception))
    if isinstance(runner, (MasterRunner, LocalRunner)):
        master = SwarmMaster(environment, clock)
        try:
            form.show(master.check_options())
            if environment.web_ui is not None:
                require_free_port(environment.web_ui.host, environment.web_ui.port)
                CallsTab(environment, master, form).install()
        except RingfenceError as error:
            logger.error("%s%s", error, f" ({error.hint})" if error.hint else "")
            raise SystemExit(int(error.exit_code)) from None
        if isinstance(environment.shape_class, WholeSwarm):
            environment.shape_class.master = master
        of_master = CrashGuard(master.crashed).guarded
        events.spawning_complete.add_listener(of_master(lambda **_kw: master.on_spawning_complete()))
        events.test_stopping.add_listener(of_master(lambda **_kw: master.on_test_stopping()))
        events.test_stop.add_listener(of_master(lambda **_kw: master.on_test_stop()))
        # After the worker's own, so before it: in one process, the master asks its worker to end, and hears of it.
        events.quitting.add_listener(of_master(lambda **_kw: master.on_test_stopping()))
        events.quit.add_listener(of_master(lambda **_kw: master.close()))
        SwarmUser.host = getattr(environment.parsed_options, "target", "") or OWN_SERVICE
        gevent.signal_handler(signal.SIGUSR1, of_master(master.end))
        if master.is_headless:
            # Locust's own handler comes only after a headless run has ended; until then SIGTERM would just kill us.
            gevent.signal_handler(signal.SIGTERM, master.terminate)

"""What the pytest controller owns: the shared servers, the run folder, and the cells whose worker died."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psutil

import device_matrix.cpu.cpu_limit
import network_profiles.links.open_link
from bedrock.child_process import ChildProcess
from bedrock.clock import SystemClock
from bedrock.environment_input import secret
from bedrock.errors import EnvironmentLacks, RingfenceError, TargetUnreachable
from bedrock.scratch import sweep_scratch
from calls.records.record import Blame, Tier
from calls.targets.admin_api import TOKEN_VARIABLE
from calls.targets.own_service import ServiceSettings, start_own_service
from device_matrix.artifacts import next_attempt, replay_command
from device_matrix.attempt.worker import RunSettings
from device_matrix.cells import Cell, DriverName
from device_matrix.devices import catalogue
from device_matrix.drivers import appium_server
from device_matrix.drivers.appium_server import AppiumServer
from device_matrix.drivers.chromium import find_browser, find_chromedriver
from device_matrix.network import link_choice
from device_matrix.peer.target_admin import TargetAdmin
from device_matrix.plan.options import Options
from device_matrix.pytest_plugin.faults import write_fault
from network_profiles import load_catalogue
from reports.run.cells import CellResult, CellStatus, write_cell
from reports.run.live import LiveWriter


@dataclass(frozen=True, slots=True)
class WorkerInput:
    """What the workers are handed down, as plain data."""

    settings: RunSettings
    cells: list[Cell]

    def to_dict(self) -> dict[str, Any]:
        return {"settings": asdict(self.settings), "cells": [cell.to_dict() for cell in self.cells]}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> WorkerInput:
        return cls(RunSettings.from_dict(fields["settings"]), [Cell.from_dict(cell) for cell in fields["cells"]])


def _settings(table: Mapping[str, Any]) -> ServiceSettings:
    """Returns what a plan's ``[service]`` table says; the whole run's plan has been checked before."""
    known = {field.name for field in dataclasses.fields(ServiceSettings)}
    return ServiceSettings(**{name: value for name, value in table.items() if name in known})


class Controller:
    """One a run. ``start`` before the workers, ``stop`` after them, whatever happened in between."""

    def __init__(self, options: Options) -> None:
        """Raises EnvironmentLacks when the machine cannot run a single cell."""
        self.options = options
        self._clock = SystemClock()
        self._appium: AppiumServer | None = None
        self._service: ChildProcess | None = None
        self._live = options.run_folder / "live" / "matrix.jsonl"
        require_prerequisites(options.cells, options.plan.matrix.backend)

    def start(self) -> WorkerInput:
        """Sweeps, makes the folder, starts the servers. Raises EnvironmentLacks for what does not come up."""
        options = self.options
        sweep()
        logs = options.run_folder / "logs"
        try:
            for name in ("calls", "samples", "health", "cells", "live", "logs"):
                (options.run_folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentLacks(f"the run folder {options.run_folder} cannot be made: {error.strerror}") from None
        url = options.target_url
        if not url:
            database = options.run_folder / "service" / "service.sqlite"
            service = start_own_service(database, logs / "service.log", _settings(options.service))
            self._service, url = service.process, service.url
            os.environ[TOKEN_VARIABLE] = service.admin_token
        for warning in link_choice.warnings(options.plan.matrix.backend):
            write_fault(
                options.run_folder, at_s=self._clock.unix_s(), what="without_root", detail=warning, severity="note"
            )
        try:
            TargetAdmin(url, "").health()
        except RingfenceError as error:
            raise TargetUnreachable(error.message, hint="start the service, or leave --target out") from error
        appium_url = appium_network = ""
        if any(cell.driver is DriverName.APPIUM for cell in options.cells):
            self._appium = AppiumServer(logs / "appium.log", self._appium_died)
            address = self._appium.start()
            appium_url, appium_network = address.url, address.network
        cells = [
            {
                "cell": cell.id,
                "device": cell.device,
                "network": cell.network,
                "scenario": cell.scenario,
                "driver": cell.driver.value,
            }
            for cell in options.cells
        ]
        LiveWriter(self._live).emit("plan", cells=cells, at_s=self._clock.unix_s())
        settings = RunSettings(
            run_id=options.run_id,
            run_folder=str(options.run_folder),
            plan=options.plan_as_named,
            seed=options.plan.seed,
            sustain_s=options.plan.matrix.sustain_s,
            retries_environment=options.plan.matrix.retries_environment,
            target_url=url,
            admin_token=secret(TOKEN_VARIABLE),
            appium_url=appium_url,
            appium_network=appium_network,
            backend=link_choice.backend_of_cells(options.plan.matrix.backend),
        )
        return WorkerInput(settings, options.cells)

    def stop(self) -> None:
        """Ends the servers and removes what dead workers left. Safe to call twice."""
        with contextlib.ExitStack() as stack:
            stack.callback(sweep)
            if self._service is not None:
                stack.callback(self._service.stop)
            if self._appium is not None:
                stack.callback(self._appium.stop)

    def interrupt_workers(self) -> None:
        """Asks every worker that still runs to end orderly: whatever we started and is not one of our servers."""
        servers = {self._appium.pid if self._appium is not None else None, self._service.pid if self._service else None}
        for child in psutil.Process().children():
            if child.pid not in servers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.send_signal(signal.SIGTERM)

    def worker_died(self, worker: str, error: str) -> None:
        """Notes that an xdist worker ended by itself, and removes what it left."""
        detail = f"worker {worker} of the device matrix ended by itself: {error.splitlines()[0]}"
        write_fault(self.options.run_folder, at_s=self._clock.unix_s(), what="matrix_worker_died", detail=detail)
        sweep()

    def cell_lost(self, node_id: str, worker: str) -> None:
        """Writes the result that a dead worker could not write."""
        cell = next((cell for cell in self.options.cells if node_id.endswith(f"[{cell.id}]")), None)
        if cell is None:
            return
        number = next_attempt(self.options.run_folder, cell.id)
        device = catalogue()[cell.device]
        result = CellResult(
            cell=cell.id,
            device=cell.device,
            device_title=device.title,
            device_class=device.device_class.value,
            emulated=device.emulated,
            network=cell.network,
            generation=load_catalogue()[cell.network].generation,
            scenario=cell.scenario,
            driver=cell.driver.value,
            tier=Tier.BROWSER.value,
            attempt=number,
            status=CellStatus.ENVIRONMENT_ERROR,
            blame=Blame.GENERATOR,
            reason="worker_died",
            detail=f"worker {worker} of the device matrix died in this cell",
            started_at_s=self._clock.unix_s(),
            replay=replay_command(self.options.plan_as_named, cell.id),
        )
        write_cell(self.options.run_folder, result)
        LiveWriter(self._live).emit(
            "end",
            cell=cell.id,
            attempt=number,
            status=result.status.value,
            reason=result.reason,
            at_s=self._clock.unix_s(),
        )

    def _appium_died(self, detail: str) -> None:
        write_fault(self.options.run_folder, at_s=self._clock.unix_s(), what="matrix_appium_died", detail=detail)


def require_prerequisites(cells: list[Cell], backend: str | None = None) -> None:
    """Raises EnvironmentLacks, one sentence a piece, when the machine cannot run ``cells``."""
    missing = link_choice.lacks(backend)
    drivers = {cell.driver for cell in cells}
    try:
        find_browser()
        if DriverName.APPIUM in drivers:
            find_chromedriver()
    except EnvironmentLacks as error:
        missing.append(f"{error.message} ({error.hint})")
    if DriverName.APPIUM in drivers:
        missing += appium_server.lacks()
    if missing:
        raise EnvironmentLacks("the device matrix cannot run here: " + "; ".join(missing))


def sweep() -> list[str]:
    """Removes links, CPU groups and scratch folders whose owner is gone. Returns what was removed."""
    return [*network_profiles.links.open_link.sweep(), *device_matrix.cpu.cpu_limit.sweep(), *sweep_scratch()]

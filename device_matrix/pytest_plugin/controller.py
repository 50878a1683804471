"""Runs the pytest controller's part: the shared servers, the run folder, and the cells whose worker died."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from bedrock.child_process import ChildProcess
from bedrock.clock import SystemClock
from bedrock.environment_input import secret
from bedrock.errors import EnvironmentLacks, RingfenceError, TargetUnreachable
from calls.records.record import Blame
from calls.targets.admin_api import TOKEN_VARIABLE
from calls.targets.own_service import ServiceSettings, start_own_service
from device_matrix.artifacts import next_attempt, replay_command
from device_matrix.attempt.result import cell_result
from device_matrix.attempt.worker import RunSettings
from device_matrix.cells import Cell, DriverName
from device_matrix.cleanup import sweep
from device_matrix.devices import catalogue
from device_matrix.drivers.appium_connection import AppiumAddress
from device_matrix.drivers.appium_server import AppiumServer
from device_matrix.network import link_choice
from device_matrix.peer.target_admin import TargetAdmin
from device_matrix.plan.options import Options
from device_matrix.pytest_plugin.deaths import write_fault
from device_matrix.pytest_plugin.prerequisites import require_prerequisites
from network_profiles import load_catalogue
from reports.run.cells import CellStatus, write_cell
from reports.run.faults import Severity
from reports.run.live import LiveWriter


@dataclass(frozen=True, slots=True)
class WorkerInput:
    """What the controller hands to the workers, as plain data."""

    settings: RunSettings
    cells: list[Cell]

    def to_dict(self) -> dict[str, Any]:
        return {"settings": asdict(self.settings), "cells": [cell.to_dict() for cell in self.cells]}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> WorkerInput:
        return cls(RunSettings.from_dict(fields["settings"]), [Cell.from_dict(cell) for cell in fields["cells"]])


class Controller:
    """Owns the run's servers. ``start`` comes before the workers, ``stop`` after them, whatever happened between."""

    def __init__(self, options: Options) -> None:
        """Raises EnvironmentLacks when the machine cannot run the plan's cells."""
        self.options = options
        self._clock = SystemClock()
        self._appium: AppiumServer | None = None
        self._service: ChildProcess | None = None
        self._live = options.run_folder / "live" / "matrix.jsonl"
        require_prerequisites(options.cells, options.plan.matrix.backend)

    def start(self) -> WorkerInput:
        """Removes leftovers, makes the run folder, starts the servers. Raises EnvironmentLacks when one fails."""
        options = self.options
        sweep()
        self._make_run_folder()
        url = options.target_url or self._start_service()
        for warning in link_choice.warnings(options.plan.matrix.backend):
            self._write_fault("without_root", warning, "note")
        try:
            TargetAdmin(url, "").health()
        except RingfenceError as error:
            hint = "start the service, or leave --target out to have one started"
            raise TargetUnreachable(error.message, hint=hint) from error
        appium = self._start_appium() if any(cell.driver is DriverName.APPIUM for cell in options.cells) else None
        cells = [{"cell": cell.id, **cell.names()} for cell in options.cells]
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
            appium_url=appium.url if appium is not None else "",
            appium_network=appium.network if appium is not None else "",
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
        """Asks every running worker to end orderly: each child process that is none of the servers."""
        servers = {self._appium.pid if self._appium is not None else None, self._service.pid if self._service else None}
        for child in psutil.Process().children():
            if child.pid not in servers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.send_signal(signal.SIGTERM)

    def worker_died(self, worker: str, error: str) -> None:
        """Writes the fault of an xdist worker that ended by itself, and removes what it left."""
        detail = f"worker {worker} of the device matrix ended by itself: {error.splitlines()[0]}"
        self._write_fault("matrix_worker_died", detail)
        sweep()

    def cell_lost(self, node_id: str, worker: str) -> None:
        """Writes the result that a dead worker could not write."""
        cell = next((cell for cell in self.options.cells if node_id.endswith(f"[{cell.id}]")), None)
        if cell is None:
            return
        number = next_attempt(self.options.run_folder, cell.id)
        result = cell_result(
            cell,
            catalogue()[cell.device],
            load_catalogue()[cell.network].generation,
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

    def _make_run_folder(self) -> None:
        folder = self.options.run_folder
        try:
            for name in ("calls", "samples", "health", "cells", "live", "logs"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentLacks(f"the run folder {folder} cannot be made: {error.strerror}") from None

    def _start_service(self) -> str:
        """Starts a reference service of our own. Returns its URL."""
        folder = self.options.run_folder
        known = {field.name for field in dataclasses.fields(ServiceSettings)}
        settings = {name: value for name, value in self.options.service.items() if name in known}
        database, log = folder / "service" / "service.sqlite", folder / "logs" / "service.log"
        service = start_own_service(database, log, ServiceSettings(**settings))
        self._service = service.process
        os.environ[TOKEN_VARIABLE] = service.admin_token
        return service.url

    def _start_appium(self) -> AppiumAddress:
        log = self.options.run_folder / "logs" / "appium.log"
        self._appium = AppiumServer(log, lambda detail: self._write_fault("matrix_appium_died", detail))
        return self._appium.start()

    def _write_fault(self, what: str, detail: str, severity: Severity = "invalid") -> None:
        write_fault(self.options.run_folder, at_s=self._clock.unix_s(), what=what, detail=detail, severity=severity)

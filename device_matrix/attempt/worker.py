"""Keeps what one worker process needs for all its cells: drivers, far end, writers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bedrock.clock import Clock
from calls.bridge.messages import StillClosing
from calls.records.record import LegRecord, SampleRow
from calls.records.segments import SegmentWriter
from device_matrix.attempt.lifetime import StopRequest
from device_matrix.cells import DriverName
from device_matrix.devices import Device
from device_matrix.drivers.protocol import Driver
from device_matrix.errors import CellEnvironmentError, DeviceUnavailable
from device_matrix.peer.far_end import FarEnd
from device_matrix.peer.target_admin import TargetAdmin
from network_profiles import NetworkProfile
from reports.run.live import LiveWriter


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings that all workers of a run share. Plain data: xdist carries it from the controller."""

    run_id: str
    run_folder: str
    plan: str
    """As the user named it, for the replay command."""
    seed: int
    sustain_s: float
    retries_environment: int
    target_url: str
    admin_token: str
    appium_url: str
    """Empty without an Appium server."""
    backend: str | None = None
    """The backend of the links; None for the best that this machine can run."""
    appium_network: str = ""
    """The path of the private network in which ``appium_url`` is."""

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> RunSettings:
        return cls(**fields)


@dataclass(slots=True)
class Worker:
    """One worker process of the matrix."""

    name: str
    settings: RunSettings
    devices: Mapping[str, Device]
    networks: Mapping[str, NetworkProfile]
    clock: Clock
    stop_request: StopRequest = field(default_factory=StopRequest)
    far_end: FarEnd = field(init=False)
    admin: TargetAdmin = field(init=False)
    legs: SegmentWriter[LegRecord] = field(init=False)
    samples: SegmentWriter[SampleRow] = field(init=False)
    _drivers: dict[DriverName, Driver] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.settings
        self.admin = TargetAdmin(settings.target_url, settings.admin_token)
        self.far_end = FarEnd(
            run_folder=self.run_folder,
            run_id=settings.run_id,
            writer=f"far-{self.name}",
            target_url=settings.target_url,
            seed=settings.seed,
            on_closing=self._pass_progress_on,
        )
        self.legs = SegmentWriter(self.run_folder / "calls", LegRecord, self.name)
        self.samples = SegmentWriter(self.run_folder / "samples", SampleRow, self.name)

    @property
    def run_folder(self) -> Path:
        return Path(self.settings.run_folder)

    def warm_up(self) -> None:
        """Starts the far end before the first cell. A failure is ignored here: it comes again in the cell."""
        with contextlib.suppress(CellEnvironmentError):
            self.far_end.ensure_started()

    def driver(self, name: DriverName) -> Driver:
        """Returns the driver, created at its first use. Raises DeviceUnavailable for Appium without a server."""
        if name not in self._drivers:
            self._drivers[name] = self._make_driver(name)
        return self._drivers[name]

    def flush(self) -> None:
        """Writes the rows that are still in memory."""
        self.legs.flush()
        self.samples.flush()

    def close(self) -> None:
        """Ends the drivers and the far end, and writes the rows that are still in memory."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.flush)
            stack.callback(self.far_end.close)
            for driver in self._drivers.values():
                stack.callback(driver.close)

    def _pass_progress_on(self, progress: StillClosing) -> None:
        """Passes the far end's progress on: to our own time limit, and to the process that waits for us."""
        self.stop_request.note_progress(progress.step, progress.left, progress.limit_s)
        with contextlib.suppress(OSError):
            LiveWriter(self.run_folder / "live" / "matrix.jsonl").emit(
                "closing",
                at_s=self.clock.unix_s(),
                worker=self.name,
                step=progress.step,
                left=progress.left,
                limit_s=progress.limit_s,
            )

    def _make_driver(self, name: DriverName) -> Driver:
        if name is DriverName.PLAYWRIGHT:
            from device_matrix.drivers.playwright_driver import PlaywrightDriver

            return PlaywrightDriver()
        if not self.settings.appium_url:
            raise DeviceUnavailable("no Appium server was started for this run", reason="no_appium")
        from device_matrix.drivers.appium_connection import AppiumAddress
        from device_matrix.drivers.appium_driver import AppiumDriver

        return AppiumDriver(AppiumAddress.at(self.settings.appium_url, self.settings.appium_network))

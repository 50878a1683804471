"""Defines the interface between the matrix and whatever drives a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from device_matrix.devices import Device


class Browser(Protocol):
    """One running browser with one page. Every method raises DeviceUnavailable when the browser is gone.

    Only the thread that launched it may use it.
    """

    @property
    def version(self) -> str:
        """The browser's own version, e.g. ``156.0.8078.79``."""

    def open(self, url: str, timeout_s: float) -> None:
        """Loads ``url`` until the document is parsed. Raises PageTimeout when it takes longer than ``timeout_s``."""

    def evaluate(self, function: str, *arguments: Any) -> Any:
        """Calls a JavaScript function expression, awaits what it returns, and returns that as plain data."""

    def click(self, selector: str, timeout_s: float) -> None:
        """Waits for the element to be visible and enabled, then clicks it. Raises PageTimeout."""

    def fill(self, selector: str, text: str, timeout_s: float) -> None:
        """Waits for the input, then types ``text`` into it. Raises PageTimeout."""

    def screenshot(self) -> bytes:
        """Returns the visible page as PNG."""

    def console(self) -> Sequence[str]:
        """Returns the page's console so far, one string per entry, uncaught errors included."""

    def crash(self) -> str:
        """Returns why the page or the browser died; empty while it lives."""


class JoinableGroup(Protocol):
    """A control group that a browser's processes can join, or its stand-in where there is none."""

    @property
    def join_paths(self) -> list[Path]:
        """Files into which a process writes ``0`` to join the group; empty where there is no group."""


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """Everything a driver needs to start one device's browser."""

    device: Device
    exec_prefix: Sequence[str]
    """The argv prefix that runs a command behind the shaped link."""
    group: JoinableGroup
    work_folder: Path
    """The attempt's scratch folder, for profile and wrappers. Removed at the attempt's end."""
    secure_origins: Sequence[str]
    """Plain-HTTP origins that may use the microphone."""
    init_script: str
    """Runs in every document before the page's own scripts."""
    environment: Mapping[str, str]
    emulated_network: Mapping[str, Any] | None = None
    """The browser's own network emulation (``network_emulation``); None where there is a link."""


class Driver(Protocol):
    """Launches browsers. Each worker has one; ``close`` ends what it keeps between cells."""

    def launch(self, spec: LaunchSpec, timeout_s: float) -> AbstractContextManager[Browser]:
        """Starts a fresh browser on an empty page; leaving the context ends it. Raises DeviceUnavailable."""

    def close(self) -> None:
        """Ends the driver. Safe to call twice."""


class PageTimeout(Exception):
    """The page did not do in time what was asked: a failure of the product, not of the harness."""

"""The seam between a scenario and whatever drives the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from device_matrix.devices import Device


class Browser(Protocol):
    """One running browser with one page. Every method raises DeviceUnavailable when the browser is gone.

    Used from the thread that launched it only.
    """

    @property
    def version(self) -> str:
        """The browser's own version, e.g. ``156.0.8078.79``."""

    def open(self, url: str, timeout_s: float) -> None:
        """Loads ``url`` until the document is parsed. Raises PageTimeout when it takes longer than ``timeout_s``."""

    def evaluate(self, function: str, *arguments: Any) -> Any:
        """Calls a JavaScript function expression, awaits what it returns, and returns that as plain data."""

    def click(self, selector: str, timeout_s: float) -> None:
        """Waits for the element to be there and enabled, then presses it as a person does. Raises PageTimeout."""

    def fill(self, selector: str, text: str, timeout_s: float) -> None:
        """Waits for the input, then types ``text`` into it. Raises PageTimeout."""

    def screenshot(self) -> bytes:
        """Returns the visible page as PNG."""

    def console(self) -> Sequence[str]:
        """Returns what the page wrote to its console so far, a line an entry, errors that nobody caught included."""

    def crash(self) -> str:
        """Returns why the page or the browser died by itself, empty while it lives."""


class JoinableGroup(Protocol):
    """What a browser's processes are started in."""

    @property
    def join_paths(self) -> list[Path]:
        """Files into which a process writes ``0`` to enter it; none where there is nothing to enter."""


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """Everything a driver needs to start one device's browser."""

    device: Device
    exec_prefix: Sequence[str]
    """The argv prefix that runs a command behind the shaped link."""
    group: JoinableGroup
    work_folder: Path
    """Scratch of this attempt alone: the profile, the wrapper. Removed at release."""
    secure_origins: Sequence[str]
    """Plain-HTTP origins that the browser is to trust with a microphone."""
    init_script: str
    """Runs in every document before the page's own scripts."""
    environment: Mapping[str, str]
    emulated_network: Mapping[str, Any] | None = None
    """What the browser itself is to do to its packets (``network_emulation``), where no link does."""


class Driver(Protocol):
    """Launches browsers. One a worker; ``close`` ends what it keeps between cells."""

    def launch(self, spec: LaunchSpec, timeout_s: float) -> AbstractContextManager[Browser]:
        """Starts a fresh browser on an empty page; leaving the context ends it. Raises DeviceUnavailable."""

    def close(self) -> None:
        """Ends the driver. Safe to call twice."""


class PageTimeout(Exception):
    """The page did not do in time what was asked: a judgement about the product, not about the harness."""

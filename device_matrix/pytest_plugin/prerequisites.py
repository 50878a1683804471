"""Checks that this machine can run the cells of a plan."""

from __future__ import annotations

from collections.abc import Sequence

from bedrock.errors import EnvironmentLacks
from device_matrix.cells import Cell, DriverName
from device_matrix.drivers import appium_server
from device_matrix.drivers.chromium import find_browser, find_chromedriver
from device_matrix.network import link_choice


def require_prerequisites(cells: Sequence[Cell], backend: str | None = None) -> None:
    """Raises EnvironmentLacks, with a phrase for each missing piece, when the machine cannot run ``cells``."""
    missing = link_choice.missing_prerequisites(backend)
    drivers = {cell.driver for cell in cells}
    try:
        find_browser()
        if DriverName.APPIUM in drivers:
            find_chromedriver()
    except EnvironmentLacks as error:
        missing.append(f"{error.message} ({error.hint})")
    if DriverName.APPIUM in drivers:
        missing += appium_server.missing_prerequisites()
    if missing:
        raise EnvironmentLacks("the device matrix cannot run here: " + "; ".join(missing))

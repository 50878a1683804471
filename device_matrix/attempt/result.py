"""Builds the result of an attempt from its cell: what every result says, whoever writes it."""

from __future__ import annotations

from typing import Any

from calls.records.record import Tier
from device_matrix.cells import Cell
from device_matrix.devices import Device
from reports.run.cells import CellResult


def cell_result(cell: Cell, device: Device, generation: str, **fields: Any) -> CellResult:
    """Returns the result of an attempt at ``cell``; ``fields`` are CellResult's own, from ``attempt`` on."""
    return CellResult(
        cell=cell.id,
        device=cell.device,
        device_title=device.title,
        device_class=device.device_class.value,
        emulated=device.emulated,
        network=cell.network,
        generation=generation,
        scenario=cell.scenario,
        driver=cell.driver.value,
        tier=Tier.BROWSER.value,
        **fields,
    )

"""Turns a plan into its list of cells: checks every name, and puts the longest cells first."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bedrock.errors import InputError, Problem
from bedrock.toml_input import unknown_name
from device_matrix.cells import Cell, DriverName
from device_matrix.devices import Device
from device_matrix.plan.matrix_plan import DeviceChoice, MatrixPlan, unknown_names
from network_profiles import NetworkProfile

LAUNCH_S = 6.0
"""Opening and measuring the link, launching the browser, collecting artifacts: about the same for every cell."""
PAGE_LOAD_KBIT = 240.0
"""The size of the web client on the wire."""
SETUP_ROUND_TRIPS = 12
"""TCP, HTTP, WebSocket, sign-in, invitation, ICE, DTLS."""


@dataclass(frozen=True, slots=True)
class CellFilters:
    """The filters of the command line; an empty one lets every cell through."""

    cells: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()


def plan_cells(
    plan: MatrixPlan, devices: Mapping[str, Device], networks: Mapping[str, NetworkProfile], *, file: str = "plan"
) -> list[Cell]:
    """Returns the plan's cells, longest first. Raises InputError with every unknown device, network and scenario."""
    problems = unknown_names(plan.model_dump(), file)
    if problems:
        raise InputError(problems)
    chosen = _choose(plan.devices, devices)
    cells: dict[str, Cell] = {}
    for rule in plan.rules:
        narrowed = (
            chosen if rule.devices is None else [name for name in chosen if name in _choose(rule.devices, devices)]
        )
        for device, network in itertools.product(narrowed, rule.networks):
            expected_s = _expected_s(devices[device], networks[network], plan.sustain_s)
            cell = Cell(device, networks[network].id, rule.scenario, DriverName.PLAYWRIGHT, expected_s)
            cells[cell.id] = cell
    if not cells:
        raise InputError([Problem(file, "matrix", "chooses no cell at all: no device is left")])
    return sorted(_assign_drivers(list(cells.values()), plan.drivers), key=lambda cell: (-cell.expected_s, cell.id))


def filter_cells(cells: list[Cell], filters: CellFilters) -> list[Cell]:
    """Returns the cells that pass the filters, in order. Raises InputError with every filter that matches nothing.

    The drivers of the whole plan are assigned before, so a cell run alone keeps its driver.
    """
    problems: list[Problem] = []
    for wanted, known, option, what in (
        (filters.cells, {cell.id for cell in cells}, "--cell", "cell"),
        (filters.devices, {cell.device for cell in cells}, "--devices", "device in this plan"),
        (filters.networks, {cell.network for cell in cells}, "--networks", "network in this plan"),
        (filters.scenarios, {cell.scenario for cell in cells}, "--scenarios", "scenario in this plan"),
        (filters.drivers, {name.value for name in DriverName}, "--drivers", "driver"),
    ):
        problems += [unknown_name(option, "", what, name, known) for name in wanted if name not in known]
    if problems:
        raise InputError(problems)
    left = [
        cell
        for cell in cells
        if (not filters.cells or cell.id in filters.cells)
        and (not filters.devices or cell.device in filters.devices)
        and (not filters.networks or cell.network in filters.networks)
        and (not filters.scenarios or cell.scenario in filters.scenarios)
        and (not filters.drivers or cell.driver in filters.drivers)
    ]
    if not left:
        raise InputError([Problem("--devices, --networks, --scenarios, --drivers", "", "no cell matches all of them")])
    return left


def _choose(choice: DeviceChoice, devices: Mapping[str, Device]) -> list[str]:
    names = set(devices) if choice == "all" else set(choice)
    return [device.id for device in devices.values() if device.id in names or device.device_class in names]


def _assign_drivers(cells: list[Cell], drivers: str) -> list[Cell]:
    """Alternates the drivers over each device's cells, in the order of their ids, so every device uses both."""
    if drivers != "alternate":
        return [replace(cell, driver=DriverName(drivers)) for cell in cells]
    by_device: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.id):
        by_device.setdefault(cell.device, []).append(cell)
    turns = tuple(DriverName)
    assigned = []
    for device_index, own in enumerate(by_device.values()):
        assigned += [replace(cell, driver=turns[(device_index + place) % len(turns)]) for place, cell in enumerate(own)]
    return assigned


def _expected_s(device: Device, network: NetworkProfile, sustain_s: float) -> float:
    rtt_s = (network.down.owd_ms + network.up.owd_ms) / 1000
    load_s = PAGE_LOAD_KBIT / network.down.rate_kbit if network.down.rate_kbit else 0.0
    slow_cpu_s = device.cpu_slowdown / device.cores
    return round(LAUNCH_S + sustain_s + load_s + SETUP_ROUND_TRIPS * rtt_s + slow_cpu_s, 1)

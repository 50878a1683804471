"""Reads the command line of ``pytest device_matrix``, and checks it before anything starts."""

from __future__ import annotations

import math
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bedrock.errors import InputError, Problem
from bedrock.target_url import url_problem
from bedrock.toml_input import read_toml
from device_matrix.cells import Cell
from device_matrix.devices import catalogue
from device_matrix.plan.matrix_plan import DEFAULT_PLAN, LoadedPlan, load_matrix_plan, plan_path
from device_matrix.plan.planner import CellFilters, filter_cells, plan_cells
from network_profiles import load_catalogue

RUNS_FOLDER = Path("runs")


@dataclass(frozen=True, slots=True)
class Options:
    """The checked command line."""

    plan: LoadedPlan
    plan_as_named: str
    cells: list[Cell]
    run_folder: Path
    run_id: str
    target_url: str
    """Empty: the controller starts a reference service."""
    service: dict[str, Any]
    """The plan's ``[service]`` table."""


def add_options(parser: pytest.Parser) -> None:
    """Adds the matrix's options to pytest's."""
    group = parser.getgroup("device matrix")
    group.addoption("--plan", default=DEFAULT_PLAN, metavar="FILE|NAME", help="the plan whose [matrix] section is run")
    group.addoption(
        "--run-folder", default="", metavar="DIR", help="the folder of the run (default: a new one in runs/)"
    )
    group.addoption("--target", default="", metavar="URL", help="the service to call (default: start one)")
    group.addoption("--cell", default="", metavar="ID", help="run only this cell: device--network--scenario")
    for what in ("devices", "networks", "scenarios", "drivers"):
        group.addoption(f"--{what}", default="", metavar="A,B", help=f"run only cells with these {what}")


def read_options(config: pytest.Config) -> Options:
    """Returns the checked command line. Raises InputError with every problem of its first faulty part."""
    named = str(config.getoption("plan"))
    path = plan_path(named)
    plan = load_matrix_plan(path)
    cells = filter_cells(
        plan_cells(plan.matrix, catalogue(), load_catalogue(), file=str(path)),
        CellFilters(*(_names(config, option) for option in ("cell", "devices", "networks", "scenarios", "drivers"))),
    )
    target = str(config.getoption("target"))
    if target and (why := url_problem(target)):
        raise InputError([Problem("--target", "", f"{why} (got '{target}')")])
    given = str(config.getoption("run_folder"))
    run_folder = Path(given) if given else RUNS_FOLDER / f"{time.strftime('%Y-%m-%dT%H%M%S')}-matrix"
    service = read_toml(path).get("service", {})
    _check_service(service, str(path))
    return Options(
        plan=plan,
        plan_as_named=named if not path.exists() or named == path.stem else os.path.relpath(path),
        cells=cells,
        run_folder=run_folder.resolve(),
        run_id=_run_id(run_folder),
        target_url=target,
        service=service if isinstance(service, dict) else {},
    )


def _names(config: pytest.Config, option: str) -> tuple[str, ...]:
    return tuple(name for part in str(config.getoption(option)).split(",") if (name := part.strip()))


def _check_service(service: object, file: str) -> None:
    """Raises InputError for values that are no numbers. The service's own command line checks the ranges."""
    for key, value in service.items() if isinstance(service, dict) else ():
        if not isinstance(value, bool | int | float) or not math.isfinite(value):
            raise InputError([Problem(file, f"service.{key}", "must be true, false or a finite number")])


def _run_id(run_folder: Path) -> str:
    """Returns the id that the run folder already has, so that swarm and matrix write the same id; else a new one."""
    import msgspec

    try:
        manifest = msgspec.json.decode((run_folder / "manifest.json").read_bytes())
        return str(manifest["run_id"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return f"matrix-{uuid.uuid4().hex[:12]}"

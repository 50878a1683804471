"""``ringfence run``, ``swarm`` and ``matrix``: runs a whole plan, or one half of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from bedrock import crash
from bedrock.clock import SystemClock
from bedrock.errors import ChildCrashed, InputError, Problem, RingfenceError
from bedrock.exit_codes import ExitCode
from bedrock.input_file import name_problem
from device_matrix.cleanup import sweep
from device_matrix.devices import catalogue
from device_matrix.network import link_choice
from device_matrix.network.user_namespace import needs_user_namespace
from device_matrix.plan.planner import CellFilters, filter_cells, plan_cells
from loadtests.records.other_runs import Neighbours, warning_of
from network_profiles import load_catalogue
from network_profiles.links.rootless import enter_if_needed
from network_profiles.links.shaped_link import BackendName
from ringfence.cli.verdict import report_verdict
from ringfence.doctor.capacity_check import require_capacity
from ringfence.doctor.preflight import require_prerequisites
from ringfence.orchestration.run_folder import RunFolderWriter, create_run_folder
from ringfence.orchestration.screen import Screen
from ringfence.orchestration.signals import handle_end_signals
from ringfence.orchestration.supervisor import Supervisor
from ringfence.run_plan import RunPlan, drop_section, load_plan, scale_times

PlanOption = Annotated[str, Parameter(name=["--plan", "-p"])]
SetOption = Annotated[list[str], Parameter(name="--set", negative="")]
BackendOption = BackendName | Literal["cdp"] | None


def run(
    *,
    plan: PlanOption = "smoke",
    set_: SetOption = [],  # noqa: B006 - read only, and cyclopts shows the default
    backend: BackendOption = None,
    time_scale: float = 1.0,
    runs: Path = Path("runs"),
    force: bool = False,
    json: bool = False,
) -> int:
    """Run a whole plan: start the service, put load on it, place calls from devices, write the report, and judge.

    Exit codes: 0 PASS, 1 FAIL, 2 usage or configuration, 3 INCONCLUSIVE, 4 INVALID, 5 a prerequisite is missing,
    70 ringfence itself crashed (no verdict), 130 interrupted.

    Parameters
    ----------
    plan
        A plan's name (see `ringfence plans list`), or a TOML file.
    set_
        Overrides one key of the plan, e.g. --set service.degradation=false. Repeatable.
    backend
        How links are shaped: netem, userspace, or cdp (the browser's own emulation). Default: the plan's
        matrix.backend, else the best that this machine can run.
    time_scale
        0.1 plays the load in a tenth of its time; call length is unchanged.
    runs
        Where the run's folder is made; runs/latest points at the newest.
    force
        Start even a load beyond what `ringfence bench media` measured on this machine.
    json
        Print summary.json instead of tables.
    """
    loaded = _with_time_scale(load_plan(plan, [*set_, *_backend_override(backend)]), time_scale)
    return execute_plan(loaded, runs, json=json, force=force)


def swarm(
    *,
    plan: PlanOption = "smoke",
    set_: SetOption = [],  # noqa: B006 - as above
    time_scale: float = 1.0,
    runs: Path = Path("runs"),
    force: bool = False,
    json: bool = False,
) -> int:
    """Run only the [swarm] section of a plan: the load, without the devices.

    Exit codes: 0 PASS, 1 FAIL, 2 usage or configuration, 3 INCONCLUSIVE, 4 INVALID, 5 a prerequisite is missing,
    70 ringfence itself crashed (no verdict), 130 interrupted.

    Parameters
    ----------
    plan
        A plan's name (see `ringfence plans list`), or a TOML file.
    set_
        Overrides one key of the plan, e.g. --set swarm.people=100. Repeatable.
    time_scale
        0.1 plays the load in a tenth of its time; call length is unchanged.
    runs
        Where the run's folder is made.
    force
        Start even a load beyond what `ringfence bench media` measured on this machine.
    json
        Print summary.json instead of tables.
    """
    loaded = _with_time_scale(drop_section(load_plan(plan, set_), "matrix"), time_scale)
    return execute_plan(loaded, runs, json=json, force=force)


def matrix(
    *,
    plan: PlanOption = "smoke",
    cell: str = "",
    devices: str = "",
    networks: str = "",
    scenarios: str = "",
    drivers: str = "",
    set_: SetOption = [],  # noqa: B006 - as above
    backend: BackendOption = None,
    runs: Path = Path("runs"),
    json: bool = False,
) -> int:
    """Run only the [matrix] section of a plan: real calls from device profiles over shaped links.

    Exit codes: 0 PASS, 1 FAIL, 2 usage or configuration, 3 INCONCLUSIVE, 4 INVALID, 5 a prerequisite is missing,
    70 ringfence itself crashed (no verdict), 130 interrupted.

    Parameters
    ----------
    plan
        A plan's name (see `ringfence plans list`), or a TOML file.
    cell
        Only this cell, e.g. moto-e13--gprs_2g--video_fallback: a report shows this command for each cell.
    devices
        Only these devices: ids with commas between (see `ringfence devices list`).
    networks
        Only these networks: ids with commas between (see `ringfence network list`).
    scenarios
        Only these scenarios: names with commas between (see `ringfence scenarios list`).
    drivers
        Only this driver: playwright or appium.
    set_
        Overrides one key of the plan. Repeatable.
    backend
        How links are shaped: netem, userspace, or cdp (the browser's own emulation). Default: the plan's
        matrix.backend, else the best that this machine can run.
    runs
        Where the run's folder is made.
    json
        Print summary.json instead of tables.
    """
    filters = {"cell": cell, "devices": devices, "networks": networks, "scenarios": scenarios, "drivers": drivers}
    loaded = drop_section(load_plan(plan, [*set_, *_backend_override(backend)]), "swarm")
    _check_filters(loaded, filters)
    return execute_plan(loaded, runs, json=json, matrix_filters=filters)


def _with_time_scale(plan: RunPlan, time_scale: float) -> RunPlan:
    return plan if time_scale == 1 else scale_times(plan, time_scale)


def _backend_override(backend: BackendOption) -> list[str]:
    return [] if backend is None else [f"matrix.backend={backend}"]


def execute_plan(
    plan: RunPlan,
    runs: Path,
    *,
    json: bool,
    force: bool = False,
    matrix_filters: dict[str, str] | None = None,
) -> int:
    """Runs ``plan`` and returns the verdict's exit code. Ctrl-C ends the run, keeps the folder, and returns 130.

    ``force`` starts a load that is beyond what was last measured on this machine.
    """
    if problem := name_problem(str(runs)):
        raise InputError([Problem("--runs", "", problem)])
    filters = matrix_filters or {}
    handle_end_signals()
    matrix = plan.settings.matrix
    if matrix is not None and needs_user_namespace(matrix.backend, plan.settings.target.url):
        enter_if_needed(sys.orig_argv)
    console = Console(stderr=json)
    _check_machine(plan, console, force=force, drivers=filters.get("drivers", ""))
    clock = SystemClock()
    neighbours = Neighbours(clock, os.getpid())
    for other in neighbours.look(now=True):
        console.print(f"[bold yellow]ringfence:[/] {escape(warning_of(other))}", highlight=False)
    folder = create_run_folder(runs, plan, clock, neighbours.to_json())
    crash.set_run_folder(folder.path)
    with Screen(console, f"ringfence {plan.settings.name}", plan.settings.estimated_duration_s) as screen:
        screen.say(f"run folder {folder.path}")
        if folder.advice:
            screen.warn(folder.advice)
        is_interrupted = _supervise(Supervisor(plan, folder, clock, screen, neighbours, matrix_filters=filters))
        screen.say("reading the records and judging")
    code = report_verdict(folder.path, plan.slo, json=json)
    if folder.problem:
        code = _report_stale_manifest(folder, console)
    return ExitCode.INTERRUPTED if is_interrupted else code


def _check_machine(plan: RunPlan, console: Console, *, force: bool, drivers: str) -> None:
    """Prints advice and warnings, and removes what killed runs left. Raises EnvironmentLacks for what is missing."""
    matrix = plan.settings.matrix
    advice = "" if force else require_capacity(plan)
    if advice:
        console.print(f"[dim]ringfence:[/] {escape(advice)}", highlight=False)
    require_prerequisites(plan, drivers=drivers)
    for warning in link_choice.warnings(matrix.backend) if matrix is not None else ():
        console.print(f"[dim]ringfence:[/] {escape(warning)}", highlight=False)
    for leftover in sweep():
        console.print(f"[dim]ringfence:[/] removed what an earlier run left: {escape(leftover)}", highlight=False)


def _supervise(supervisor: Supervisor) -> bool:
    """Runs the plan to its end. Returns whether somebody interrupted it."""
    folder = supervisor.folder
    try:
        supervisor.run()
    except KeyboardInterrupt:
        handle_end_signals()
        return True
    except ChildCrashed as error:
        folder.record_fault("child_crashed", f"{error.message} {error.hint}".strip(), "invalid")
    except Exception as error:
        if not isinstance(error, RingfenceError):
            folder.record_fault("ringfence_crashed", f"ringfence crashed: {crash.reason(error)}", "invalid")
        raise
    return False


def _report_stale_manifest(folder: RunFolderWriter, console: Console) -> ExitCode:
    """Prints the faults that the manifest on disk lacks, because it could not be written. Returns INVALID."""
    faults = "".join(f"\n  {fault['what']}: {fault['detail']}" for fault in folder.manifest["faults"])
    console.print(f"ringfence: INVALID: {folder.problem}{faults}", style="bold yellow", markup=False)
    return ExitCode.INVALID


def _check_filters(plan: RunPlan, filters: dict[str, str]) -> None:
    """Raises InputError when a filter names no cell of the plan."""
    if plan.settings.matrix is None:
        raise InputError([Problem(str(plan.file), "matrix", "is missing: this plan has no device matrix")])
    cells = plan_cells(plan.settings.matrix, catalogue(), load_catalogue(), file=str(plan.file))
    names = {key: tuple(name.strip() for name in value.split(",") if name.strip()) for key, value in filters.items()}
    filter_cells(
        cells, CellFilters(names["cell"], names["devices"], names["networks"], names["scenarios"], names["drivers"])
    )

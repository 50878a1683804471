"""Reads the ``[matrix]`` section of a plan, and finds plans by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from bedrock.errors import InputError, Problem
from bedrock.plain_values import LARGEST_SEED
from bedrock.project import PROJECT_ROOT
from bedrock.toml_input import Written, check, find_file, read_toml, unknown_name
from device_matrix.devices import DeviceClass, catalogue
from device_matrix.scenarios import SCENARIO_NAMES
from network_profiles.catalogue.catalogue import profile_name_problems

PLANS_FOLDER = PROJECT_ROOT / "ringfence" / "plans"
DEFAULT_PLAN = "smoke"

Name = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
DeviceChoice = Literal["all"] | list[Name]
"""``"all"``, or a list of device ids and classes (``go``, ``low``, ``mid``, ``upper``, ``flagship``, ``ios``)."""


class MatrixRule(Written):
    """One scenario over some networks, for the plan's devices or for some of them."""

    scenario: Name
    networks: list[Name] = Field(min_length=1, max_length=200)
    devices: DeviceChoice | None = None
    """The rule's choice among the plan's devices; absent = all of them."""


class MatrixPlan(Written):
    """What the device matrix runs, and how."""

    workers: int = Field(default=4, ge=1, le=64)
    start_after_s: float = Field(default=0, ge=0, le=7 * 86_400)
    """How long after the swarm's start the first cell starts. Used by ``ringfence run``."""
    devices: DeviceChoice = "all"
    drivers: Literal["alternate", "playwright", "appium"] = "alternate"
    retries_environment: int = Field(default=1, ge=0, le=5)
    """How often a cell is retried after an environment error. Failures of the product are never retried."""
    backend: Literal["userspace", "netem", "cdp"] | None = None
    """The backend of the links, ``userspace`` or ``netem``; absent = the best that this machine has. ``cdp`` builds no
    link: the browser emulates the network. It also replaces a link that cannot be built, and the run says so."""
    sustain_s: float = Field(default=8, ge=2, le=600)
    """How long audio has to flow both ways before the device hangs up."""
    rules: list[MatrixRule] = Field(min_length=1, max_length=200)


def plan_path(name_or_path: str) -> Path:
    """Returns the file of a plan, given its path or its built-in name. Raises InputError when there is neither."""
    return find_file(name_or_path, {path.stem: path for path in PLANS_FOLDER.glob("*.toml")}, "plan", option="--plan")


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """The parts of a plan file that the matrix uses."""

    file: Path
    seed: int
    matrix: MatrixPlan


def load_matrix_plan(path: Path) -> LoadedPlan:
    """Returns the plan's ``[matrix]`` section and seed. Raises InputError with all of their problems."""
    tables = read_toml(path)
    section = tables.get("matrix")
    if not isinstance(section, dict):
        raise InputError([Problem(str(path), "matrix", "is required and missing")])
    problems = unknown_names(section, str(path))
    matrix = None
    try:
        matrix = check(MatrixPlan, section, str(path), under="matrix")
    except InputError as error:
        problems = [*error.problems, *problems]
    seed = tables.get("seed", 1)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        sentence = f"must be a whole number, at least 0 and at most {LARGEST_SEED} (got {seed!r:.60})"
        problems.append(Problem(str(path), "seed", sentence))
    if problems or matrix is None:
        raise InputError(problems)
    return LoadedPlan(path, seed, matrix)


def unknown_names(section: Mapping[str, Any], file: str) -> list[Problem]:
    """Returns a problem for every unknown device, network and scenario of a ``[matrix]`` section.

    ``section`` may be malformed in other ways: anything that is no name is skipped here.
    """
    devices = [*catalogue(), *(member.value for member in DeviceClass)]
    problems = _unknown(section.get("devices"), devices, file, "matrix.devices", "device")
    rules = section.get("rules")
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        if not isinstance(rule, Mapping):
            continue
        key = f"matrix.rules[{index}]"
        scenario = rule.get("scenario")
        if isinstance(scenario, str) and scenario not in SCENARIO_NAMES:
            problems.append(unknown_name(file, f"{key}.scenario", "scenario", scenario, SCENARIO_NAMES))
        problems += _unknown_networks(rule.get("networks"), file, f"{key}.networks")
        problems += _unknown(rule.get("devices"), devices, file, f"{key}.devices", "device")
    return problems


def _unknown_networks(names: Any, file: str, key: str) -> list[Problem]:
    """Returns the problems of networks named by id or by path; a path adds the problems of its own file."""
    return [
        problem
        for place, name in enumerate(names if isinstance(names, list) else [])
        if isinstance(name, str)
        for problem in profile_name_problems(name, file, f"{key}[{place}]", what="network")
    ]


def _unknown(names: Any, known: Iterable[str], file: str, key: str, what: str) -> list[Problem]:
    known = list(known)
    return [
        unknown_name(file, f"{key}[{place}]", what, name, known)
        for place, name in enumerate(names if isinstance(names, list) else [])
        if isinstance(name, str) and name not in known
    ]

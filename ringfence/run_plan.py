"""Reads a plan, the TOML file that describes a run, and checks all of it before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

import device_matrix.plan.matrix_plan
import loadtests.plan.swarm_plan
from bedrock.errors import InputError, Problem
from bedrock.input_file import is_file
from bedrock.plain_values import DEEPEST, LARGEST_SEED, NotToml, is_plain, parse
from bedrock.target_url import url_problem
from bedrock.toml_input import Written, check, find_file, read_toml, value_problems
from calls.targets.trust import CA_FILE_HINT, CA_FILE_KEY, problem_of
from device_matrix.plan.matrix_plan import MatrixPlan
from loadtests.plan import scaling
from loadtests.plan.scaling import LONGEST_SCALE, SHORTEST_SCALE
from loadtests.plan.swarm_plan import ServiceTable, SwarmPlan
from loadtests.shapes.stage import MAX_DURATION_S
from reports.slo.slo_file import SloFile, load_slo
from ringfence.errors import BadOverride

PLANS_FOLDER = Path(__file__).parent / "plans"


class TargetSection(Written):
    """The calling service under test."""

    kind: Literal["reference"] = "reference"
    url: str = Field(default="", max_length=2000)
    """Empty: ringfence starts the reference service itself."""
    ca_file: str = ""
    """PEM file with the target's certificate, or that of its authority; relative to the plan file. Swarm, admin client
    and browsers trust it in addition to the certificates of the system."""

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if url and (why := url_problem(url)):
            raise ValueError(why)
        return url


START_S = 12.0
"""Start of the service and of the swarm's processes, in seconds."""


class PlanFile(Written):
    """A whole plan file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    title: str = Field(default="", max_length=200)
    seed: int = Field(default=1, ge=0, le=LARGEST_SEED)
    slo: str = "default"
    """Name of a built-in SLO, or a path relative to the plan file."""
    max_duration_s: float = Field(default=480, gt=0, le=MAX_DURATION_S)
    """The run is ended, and is INVALID, when it takes longer."""
    expected_duration_s: float = Field(default=300, gt=0, le=MAX_DURATION_S)
    """The screen counts the remaining time down from this, unless ``estimated_duration_s`` is known from the stages."""
    target: TargetSection = TargetSection()
    service: ServiceTable = ServiceTable()
    swarm: SwarmPlan | None = None
    matrix: MatrixPlan | None = None

    @property
    def estimated_duration_s(self) -> float:
        """How long a run takes without problems: as written, or computed from the stages of a plan without devices."""
        is_given = "expected_duration_s" in self.model_fields_set
        length_s = self.swarm.length_s() if self.swarm is not None and self.matrix is None else None
        if self.swarm is None or length_s is None or is_given:
            return self.expected_duration_s
        sign_in_s = START_S + self.swarm.people / self.swarm.spawn_rate_per_s
        return sign_in_s + length_s + self.swarm.talk_s.median


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A plan that was read and checked."""

    file: Path
    settings: PlanFile
    slo: SloFile
    tables: dict[str, Any]
    """The tables of the file, overrides applied. They go into the manifest and into ``plan.toml`` of the run."""


def built_in_plans() -> dict[str, Path]:
    """Returns the plans that come with ringfence, by name."""
    return {path.stem: path for path in sorted(PLANS_FOLDER.glob("*.toml"))}


def load_plan(name_or_path: str, overrides: list[str] | None = None) -> RunPlan:
    """Reads and checks a plan: its own keys, and every device, network, persona, scenario and SLO that it names.

    Raises InputError with all problems at once; BadOverride for a ``--set`` that is not ``key=value``.
    """
    path = find_file(name_or_path, built_in_plans(), "plan", option="--plan")
    tables = read_toml(path)
    file = str(path)
    problems: list[Problem] = []
    for override in overrides or []:
        problems += _apply_override(tables, override)
    if problems:
        raise InputError(problems)
    settings = slo = None
    try:
        settings = check(PlanFile, tables, file)
    except InputError as error:
        problems += error.problems
    try:
        tables["slo"] = _slo_name_or_path(str(tables.get("slo", "default")), path)
        slo = load_slo(tables["slo"])
    except InputError as error:
        problems += [Problem(file, "slo", str(problem)) if not problem.key else problem for problem in error.problems]
    if settings is not None and settings.target.ca_file:
        # Absolute from here on: the processes of the run read a copy of the plan in the run folder.
        authority = (path.parent / settings.target.ca_file).resolve()
        tables["target"]["ca_file"] = str(authority)
        settings = settings.model_copy(
            update={"target": settings.target.model_copy(update={"ca_file": str(authority)})}
        )
        if wrong := problem_of(authority):
            problems.append(Problem(file, CA_FILE_KEY, f"{authority} {wrong}", CA_FILE_HINT))
    swarm, matrix = _section(tables, "swarm"), _section(tables, "matrix")
    if swarm is not None:
        problems += loadtests.plan.swarm_plan.unknown_names(swarm, file)
    if matrix is not None:
        problems += device_matrix.plan.matrix_plan.unknown_names(matrix, file)
    if settings is not None and settings.swarm is None and settings.matrix is None:
        problems.append(Problem(file, "", "has neither a [swarm] nor a [matrix] section", "nothing would be run"))
    if problems or settings is None or slo is None:
        raise InputError(problems)
    return RunPlan(path, settings, slo, tables)


def drop_section(plan: RunPlan, section: str) -> RunPlan:
    """Returns the plan without its ``swarm`` or ``matrix`` section, so that the manifest shows only what was run."""
    tables = {key: value for key, value in plan.tables.items() if key != section}
    return replace(plan, settings=plan.settings.model_copy(update={section: None}), tables=tables)


def scale_times(plan: RunPlan, time_scale: float) -> RunPlan:
    """Returns the plan with every time of its load multiplied by ``time_scale``, e.g. a soak of hours in minutes.

    The length of calls and of cells is unchanged. The start of the matrix is scaled with the load. Raises BadOverride
    for a plan without a load, and for a scale that is out of bounds.
    """
    swarm, matrix = plan.settings.swarm, plan.settings.matrix
    if swarm is None:
        raise BadOverride("--time-scale: this plan has no [swarm] section whose times could be scaled")
    if not SHORTEST_SCALE <= time_scale <= LONGEST_SCALE:
        allowed = f"from {SHORTEST_SCALE:g} to {LONGEST_SCALE:g}"
        raise BadOverride(f"--time-scale {time_scale:g}: must be {allowed}", hint="0.1 is a tenth of the time")
    tables = {**plan.tables, "swarm": scaling.scale_time(scaling.tables_of(swarm), time_scale)}
    if matrix is not None:
        tables["matrix"] = {**plan.tables["matrix"], "start_after_s": matrix.start_after_s * time_scale}
    if swarm.is_stepwise:
        tables["expected_duration_s"] = START_S + plan.settings.expected_duration_s * time_scale
    elif matrix is None:
        tables.pop("expected_duration_s", None)  # it is known from the stages
    return replace(plan, settings=check(PlanFile, tables, str(plan.file)), tables=tables)


def _section(tables: dict[str, Any], name: str) -> dict[str, Any] | None:
    section = tables.get(name)
    return section if isinstance(section, dict) else None


def _slo_name_or_path(reference: str, plan_file: Path) -> str:
    beside = str(plan_file.parent / reference)
    return str(Path(beside).absolute()) if reference.endswith(".toml") and is_file(beside) else reference


def _apply_override(tables: dict[str, Any], override: str) -> list[Problem]:
    """Writes one ``--set`` into ``tables``. Returns the problems of its value."""
    key, separator, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not separator or not all(parts):
        raise BadOverride(
            f"--set {ascii(override)[1:-1]}: is not of the form section.key=value",
            hint="e.g. --set service.degradation=false",
        )
    named = f"--set {ascii(key.strip())[1:-1]}"
    if len(parts) > DEEPEST or not is_plain(key) or "\n" in key:
        raise BadOverride(f"{named[:100]}: is no key of a plan")
    *parents, last = parts
    table = tables
    for parent in parents:
        inner = table.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise BadOverride(f"{named}: '{parent}' is not a section of the plan")
        table = inner
    table[last] = _override_value(text)
    return value_problems(table[last], named)


def _override_value(text: str) -> Any:
    """Returns ``text`` read as a TOML value, or ``text`` itself: words on the command line need no quotes."""
    try:
        parsed = parse(f"value = {text}")
    except NotToml as error:
        if "deeper" in str(error) or "beyond" in str(error):
            raise BadOverride(f"--set: the value {error}") from None
        return text
    return parsed["value"] if set(parsed) == {"value"} else text

"""The ``[swarm]`` section of a plan: how many people, what they do, and how the load moves.

Reading a plan needs neither Locust nor an engine, so that a wrong one is refused before anything is started.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator, model_validator

from bedrock.errors import InputError, Problem
from bedrock.toml_input import Written, check, find_file, read_toml, unknown_name
from loadtests.talk import TalkTime

if TYPE_CHECKING:
    from reports.slo import Limits

DEFAULT_PLAN = "default"
PLAN_FOLDERS = (Path(__file__).parent / "plans", Path(__file__).parent.parent / "ringfence" / "plans")
"""Where a plan's name is looked up: our own plan for trying things out, then the plans of whole runs."""
PEOPLE_PER_CALL = 2.4
"""Two people talk in every call; the rest must be free, or the next call finds nobody at home."""


class TalkTable(Written):
    """``talk_s = { median = 25, sigma = 0.4, min = 8, max = 60 }``: seconds, log-normal, cut off at both ends."""

    median: float = Field(gt=0, le=3600)
    sigma: float = Field(default=0.4, ge=0, le=2)
    min: float = Field(default=5, gt=0)
    max: float = Field(default=120, gt=0, le=7200)

    @model_validator(mode="after")
    def _in_order(self) -> TalkTable:
        if not self.min <= self.median <= self.max:
            raise ValueError("must keep min <= median <= max")
        return self

    def talk_time(self) -> TalkTime:
        """Returns the distribution that the table describes."""
        return TalkTime(self.median, self.sigma, self.min, self.max)


class StageTable(Written):
    """One stage: the mean number of calls in progress moves in a straight line from the stage before to this one.

    A stage with the level of the one before it holds that level. A last stage without an end (``duration_s = 0``)
    goes to its level as fast as calls end, and stays until the run is told to end.
    """

    name: str = Field(min_length=1, max_length=40)
    duration_s: float = Field(ge=0, le=7 * 86400)
    concurrent_calls: float = Field(ge=0, le=100_000)
    """Mean calls with media flowing; ringing comes on top. The number of the moment varies as its square root."""


class SwarmPlan(Written):
    """The ``[swarm]`` section."""

    workers: int = Field(default=1, ge=1, le=512)
    """Locust worker processes, each with an engine of its own."""
    people: int = Field(ge=4, le=1_000_000)
    """People who sign in; the probes come on top."""
    spawn_rate_per_s: float = Field(default=20, gt=0, le=1000)
    """Sign-ins a second, over all workers."""
    mix: str
    """A named mix of ``personas.toml``."""
    talk_s: TalkTable
    messages_per_person_per_min: float = Field(default=1, ge=0, le=600)
    probe_calls: int = Field(default=0, ge=0, le=200)
    """Pairs of people who call each other back to back in the ``media`` tier. Three keep two calls up at all times."""
    drain_s: float = Field(default=0, ge=0, le=3600)
    """How long calls may take to end by themselves once the load ends; 0 stands for the longest call and a margin."""
    stages: tuple[StageTable, ...] = Field(min_length=1)

    @field_validator("stages")
    @classmethod
    def _only_the_last_has_no_end(cls, stages: tuple[StageTable, ...]) -> tuple[StageTable, ...]:
        for stage in stages[:-1]:
            if stage.duration_s == 0:
                raise ValueError(f"only the last stage may have duration_s = 0, and '{stage.name}' is not the last")
        names = [stage.name for stage in stages]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"every stage needs a name of its own, and '{twice[0]}' is there twice")
        return stages

    @model_validator(mode="after")
    def _enough_people(self) -> SwarmPlan:
        peak = max(stage.concurrent_calls for stage in self.stages)
        if self.people < peak * PEOPLE_PER_CALL:
            needed = int(-(-peak * PEOPLE_PER_CALL // 1))
            raise ValueError(f"{self.people} people cannot hold {peak:g} calls at once: at least {needed} are needed")
        return self

    @property
    def effective_drain_s(self) -> float:
        """Seconds that the end of the load waits for calls to end by themselves."""
        return self.drain_s or self.talk_s.max + 15

    @property
    def ends_by_itself(self) -> bool:
        """Whether the last stage has an end."""
        return self.stages[-1].duration_s > 0

    def stage_at(self, elapsed_s: float) -> str:
        """Returns the name of the stage at ``elapsed_s`` since the load began."""
        end_s = 0.0
        for stage in self.stages:
            end_s += stage.duration_s
            if elapsed_s < end_s or stage.duration_s == 0:
                return stage.name
        return self.stages[-1].name

    def length_s(self) -> float | None:
        """Returns the seconds of all stages together, ``None`` when the last has no end."""
        return sum(stage.duration_s for stage in self.stages) if self.ends_by_itself else None


class ServiceTable(Written):
    """The ``[service]`` section: how our own reference service is started when no target is named."""

    degradation: bool = True
    answer_delay_ms: int = Field(default=0, ge=0, le=60_000)
    lose_every_nth_answer: int = Field(default=0, ge=0)
    no_answer_s: float = Field(default=30, gt=0, le=300)


class LoadPlan(Written):
    """What the swarm takes from a plan file. Sections that it does not know belong to other parts of a run."""

    name: str = DEFAULT_PLAN
    seed: int = Field(default=1, ge=0)
    slo: str = "default"
    swarm: SwarmPlan
    service: ServiceTable = ServiceTable()


def built_in_plans() -> dict[str, Path]:
    """Returns the plans that can be named without a path."""
    return {path.stem: path for folder in PLAN_FOLDERS[::-1] for path in sorted(folder.glob("*.toml"))}


def load_plan(name_or_path: str) -> LoadPlan:
    """Reads the swarm's part of a plan file, or of a built-in plan.

    Raises InputError with every problem of the part that the swarm uses.
    """
    path = find_plan(name_or_path)
    tables = read_toml(path)
    known = {key: tables[key] for key in LoadPlan.model_fields if key in tables}
    problems: list[Problem] = []
    plan = None
    if "swarm" not in known:
        problems.append(Problem(str(path), "swarm", "is required and missing", "this plan describes no load"))
    else:
        try:
            plan = check(LoadPlan, known, str(path))
        except InputError as error:
            problems += error.problems
        if isinstance(known["swarm"], dict):
            problems += unknown_names(known["swarm"], str(path))
    if problems or plan is None:
        raise InputError(problems)
    return plan


def find_plan(name_or_path: str) -> Path:
    """Returns the file of a plan. Raises InputError when it is neither a file nor a known name."""
    return find_file(name_or_path, built_in_plans(), "plan", option="--plan")


def limits_of(plan: LoadPlan, plan_file: Path) -> Limits:
    """Returns what a completed call must keep to, from the SLO that the plan names.

    Raises InputError when that SLO is wrong or does not exist.
    """
    from reports.slo import load_slo

    beside = plan_file.parent / plan.slo
    is_file = plan.slo.endswith(".toml") and beside.exists()
    return load_slo(str(beside.resolve()) if is_file else plan.slo).limits


def unknown_names(swarm: dict[str, Any], file: str) -> list[Problem]:
    """Returns a problem for each name in a ``[swarm]`` table that nothing stands behind."""
    from loadtests.personas import load_personas

    book = load_personas()
    mix = swarm.get("mix")
    if isinstance(mix, str) and mix not in book.mixes:
        return [unknown_name(file, "swarm.mix", "mix", mix, book.mixes)]
    return []

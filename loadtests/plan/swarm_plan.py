"""The ``[swarm]`` section of a plan: how many people, what they do, and how the load moves.

Reading a plan needs neither Locust nor an engine, so that a wrong one is refused before anything is started.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from bedrock.errors import InputError, Problem
from bedrock.input_file import is_file
from bedrock.plain_values import LARGEST_SEED
from bedrock.toml_input import Written, check, find_file, read_toml, unknown_name
from loadtests.plan.cooldown import COOLDOWN_S
from loadtests.plan.durations import TalkTime
from loadtests.shapes.knee import KneeSearch, KneeTable
from loadtests.shapes.launch_day import LaunchDayTable
from loadtests.shapes.ramp import RampTable
from loadtests.shapes.rollout import Rollout, RolloutTable
from loadtests.shapes.soak import SoakTable
from loadtests.shapes.stage import StageTable, check_stages
from loadtests.shapes.steady import SteadyTable
from loadtests.shapes.stepwise import Stepwise

if TYPE_CHECKING:
    from reports.slo.slo_file import CompletedCallLimits

DEFAULT_PLAN = "default"
_PACKAGE = Path(__file__).parent.parent
PLAN_FOLDERS = (_PACKAGE / "plans", _PACKAGE.parent / "ringfence" / "plans")
"""Where a plan's name is looked up: our own plan for trying things out, then the plans of whole runs."""
SHAPES = ("stages", "steady", "ramp", "launch_day", "soak", "knee", "rollout")
SHORTEST_TALK_S = 0.1
PEOPLE_PER_CALL = 2.4
"""Two people talk in every call; the rest must be free, or the next call finds nobody at home."""
SPARE = 1.2
"""Among so many more people than are busy on average, a free caller still finds a free contact."""


def people_needed(peak_calls: float, mean_talk_s: float) -> float:
    """Returns how many people can hold so many calls at once.

    Short calls need more of them: each of the two rests afterwards, however short it was.
    """
    return max(peak_calls * PEOPLE_PER_CALL, SPARE * 2 * peak_calls / mean_talk_s * (mean_talk_s + COOLDOWN_S))


class TalkTable(Written):
    """``talk_s = { median = 25, sigma = 0.4, min = 8, max = 60 }``: seconds, log-normal, cut off at both ends."""

    median: float = Field(ge=SHORTEST_TALK_S, le=3600)
    sigma: float = Field(default=0.4, ge=0, le=2)
    min: float = Field(default=5, ge=SHORTEST_TALK_S, le=3600)
    max: float = Field(default=120, ge=SHORTEST_TALK_S, le=7200)

    @model_validator(mode="after")
    def _in_order(self) -> TalkTable:
        if not self.min <= self.median <= self.max:
            raise ValueError("must keep min <= median <= max")
        return self

    def talk_time(self) -> TalkTime:
        """Returns the distribution that the table describes."""
        return TalkTime(self.median, self.sigma, self.min, self.max)


class PatienceTable(Written):
    """``patience_s = { median = 20, sigma = 0.5, min = 5, max = 60 }``: how long a caller lets it ring."""

    median: float = Field(ge=SHORTEST_TALK_S, le=600)
    sigma: float = Field(default=0.5, ge=0, le=2)
    min: float = Field(default=3, ge=SHORTEST_TALK_S, le=600)
    max: float = Field(default=60, ge=SHORTEST_TALK_S, le=600)

    @model_validator(mode="after")
    def _in_order(self) -> PatienceTable:
        if not self.min <= self.median <= self.max:
            raise ValueError("must keep min <= median <= max")
        return self

    def patience(self) -> TalkTime:
        """Returns the distribution that the table describes."""
        return TalkTime(self.median, self.sigma, self.min, self.max)


class DailyTable(Written):
    """``daily = { curve = "evening", day_s = 600 }``: the level follows the hour of the day."""

    curve: str
    """A curve of ``daily_curves.toml``. Its busiest hour is the level that the stages ask for."""
    day_s: float = Field(default=86_400, ge=24, le=86_400)
    """Seconds that a day takes: 600 plays it in ten minutes. Calls themselves are as long as ever."""
    start_hour: float = Field(default=0, ge=0, lt=24)


class TailsTable(Written):
    """``heavy_tails = { missed_calls = 1000, threads = 10000 }``: what the most sought-after people find in their app.

    The person of rank k gets 1/k of it (Zipf's law). What never calls in the run is made of accounts that nobody signs
    in as.
    """

    missed_calls: int = Field(default=0, ge=0, le=20_000)
    threads: int = Field(default=0, ge=0, le=50_000)


STEPWISE = ("knee", "rollout")
"""Shapes that decide each step by what the one before it came to."""


class SwarmPlan(Written):
    """The ``[swarm]`` section."""

    workers: int = Field(default=1, ge=1, le=512)
    """Locust worker processes, each with an engine of its own."""
    people: int = Field(ge=4, le=1_000_000)
    """People who sign in; the probes come on top."""
    spawn_rate_per_s: float = Field(default=20, ge=0.01, le=1000)
    """Sign-ins a second, over all workers."""
    mix: str
    """A named mix of ``personas.toml``."""
    region: str = ""
    """A region's mix of networks: everybody's access link is drawn from it, in place of their persona's own."""
    talk_s: TalkTable
    patience_s: PatienceTable | None = None
    """None: callers let it ring for as long as the service does."""
    silence_patience_s: float = Field(default=15, gt=0, le=600)
    """A person who has heard nothing for so long, in a call that was heard, gives up."""
    dtx: bool = False
    """Talk spurts after ITU-T P.59, and Opus that is silent in between; else everybody talks all the time."""
    scenarios: dict[str, Annotated[float, Field(ge=0, le=1_000_000)]] = Field(default_factory=lambda: {"talk": 1.0})
    """Weighted scenarios of ``calls.scenarios``: each call draws one."""
    messages_per_person_per_min: float = Field(default=1, ge=0, le=600)
    visits_per_person_per_min: float = Field(default=0.2, ge=0, le=60)
    """How often people open their app to look at threads and missed calls, besides once at sign-in; 0: never."""
    probe_calls: int = Field(default=0, ge=0, le=200)
    """Pairs of people who call each other back to back in the ``media`` tier. Three keep two calls up at all times."""
    probe_networks: tuple[str, ...] = Field(default=(), max_length=200)
    """Network profiles that the pairs of each worker are behind, dealt in turn, one side of a pair each; an empty one
    stands for none. Without any, probes have no access link and judge the load alone."""
    drain_s: float = Field(default=0, ge=0, le=3600)
    """How long calls may take to end by themselves once the load ends; 0 stands for the longest call and a margin."""
    heavy_tails: TailsTable | None = None
    daily: DailyTable | None = None
    shape: Literal["stages", "steady", "ramp", "launch_day", "soak", "knee", "rollout"] = "stages"
    """Which of the tables below says how the load moves."""
    stages: tuple[StageTable, ...] = Field(default=(), max_length=1000)
    steady: SteadyTable | None = None
    ramp: RampTable | None = None
    launch_day: LaunchDayTable | None = None
    soak: SoakTable | None = None
    knee: KneeTable | None = None
    rollout: RolloutTable | None = None

    @field_validator("stages")
    @classmethod
    def _stages_in_order(cls, stages: tuple[StageTable, ...]) -> tuple[StageTable, ...]:
        check_stages(stages)
        return stages

    @field_validator("scenarios")
    @classmethod
    def _weighed(cls, scenarios: dict[str, float]) -> dict[str, float]:
        if not scenarios or min(scenarios.values()) < 0 or sum(scenarios.values()) <= 0:
            raise ValueError("weights must not be negative, and not all zero")
        return scenarios

    @model_validator(mode="after")
    def _one_shape(self) -> SwarmPlan:
        if not getattr(self, self.shape):
            written = "[[swarm.stages]] is" if self.shape == "stages" else f"[swarm.{self.shape}] is"
            raise ValueError(f'shape = "{self.shape}" needs its table: {written} missing')
        idle = [name for name in SHAPES if name != self.shape and getattr(self, name)]
        if idle:
            raise ValueError(f"shape = \"{self.shape}\", so the table of '{idle[0]}' would not be used: take one out")
        if self.daily is not None and self.shape in STEPWISE:
            raise ValueError(f'a daily curve would move the level that a step of shape = "{self.shape}" is judged at')
        return self

    @model_validator(mode="after")
    def _enough_people(self) -> SwarmPlan:
        peak = self.peak_calls
        at_once = people_needed(peak, self.talk_s.talk_time().mean_s())
        if self.people < at_once:
            needed = math.ceil(at_once)
            raise ValueError(f"{self.people} people cannot hold {peak:g} calls at once: at least {needed} are needed")
        return self

    @property
    def timeline(self) -> tuple[StageTable, ...]:
        """The stages of the load, whatever its shape; none when each step is decided by the one before it."""
        table = getattr(self, self.shape)
        if self.shape == "stages":
            return self.stages
        return () if table is None or self.shape in STEPWISE else tuple(table.stages())

    @property
    def is_stepwise(self) -> bool:
        """Whether the load decides each step by what the one before it came to."""
        return self.shape in STEPWISE

    def stepwise(self) -> Stepwise:
        """Returns the load that decides its steps. Raises ValueError for a shape that is known in full."""
        if self.shape == "knee" and self.knee is not None:
            return KneeSearch(self.knee)
        if self.shape == "rollout" and self.rollout is not None:
            return Rollout(self.rollout)
        raise ValueError(f"shape '{self.shape}' is not decided step by step")

    @property
    def peak_calls(self) -> float:
        """The highest level that the load may reach, in calls at once."""
        if self.shape == "knee" and self.knee is not None:
            return self.knee.max_calls
        if self.shape == "rollout" and self.rollout is not None:
            return self.rollout.peak_calls
        return max((stage.concurrent_calls for stage in self.timeline), default=0.0)

    def in_words(self) -> str:
        """Returns one line: what the load is."""
        length_s = self.length_s()
        long = "" if self.is_stepwise else ", until told to end" if length_s is None else f", {length_s:g} s"
        behind = f" in region {self.region}" if self.region else ""
        return (
            f"{self.shape}, up to {self.peak_calls:g} calls at once{long}; {self.people} people of {self.mix}{behind}"
        )

    @property
    def effective_drain_s(self) -> float:
        """Seconds that the end of the load waits for calls to end by themselves."""
        return self.drain_s or self.talk_s.max + 15

    @property
    def ends_by_itself(self) -> bool:
        """Whether the load has an end of its own."""
        return self.is_stepwise or self.timeline[-1].duration_s > 0

    def stage_at(self, elapsed_s: float) -> str:
        """Returns the name of the stage at ``elapsed_s`` since the load began."""
        end_s = 0.0
        for stage in self.timeline:
            end_s += stage.duration_s
            if elapsed_s < end_s or stage.duration_s == 0:
                return stage.name
        return self.timeline[-1].name if self.timeline else ""

    def length_s(self) -> float | None:
        """Returns the seconds of all stages together, ``None`` when they are not known or the last has no end."""
        known = self.ends_by_itself and not self.is_stepwise
        return sum(stage.duration_s for stage in self.timeline) if known else None


class ServiceTable(Written):
    """The ``[service]`` section: how our own reference service is started when no target is named."""

    degradation: bool = True
    answer_delay_ms: int = Field(default=0, ge=0, le=60_000)
    lose_every_nth_answer: int = Field(default=0, ge=0, le=1_000_000_000)
    no_answer_s: float = Field(default=30, ge=0.1, le=300)


class LoadPlan(Written):
    """What the swarm takes from a plan file. Sections that it does not know belong to other parts of a run."""

    name: str = DEFAULT_PLAN
    seed: int = Field(default=1, ge=0, le=LARGEST_SEED)
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


def slo_reference(plan: LoadPlan, plan_file: Path) -> str:
    """Returns what to hand to ``load_slo``: a file beside the plan where there is one of that name, else a name."""
    beside = str(plan_file.parent / plan.slo)
    return str(Path(beside).absolute()) if plan.slo.endswith(".toml") and is_file(beside) else plan.slo


def limits_of(plan: LoadPlan, plan_file: Path) -> CompletedCallLimits:
    """Returns what a completed call must keep to, from the SLO that the plan names.

    Raises InputError when that SLO is wrong or does not exist.
    """
    from reports.slo.slo_file import load_slo

    return load_slo(slo_reference(plan, plan_file)).limits


def unknown_names(swarm: dict[str, Any], file: str) -> list[Problem]:
    """Returns a problem for each name in a ``[swarm]`` table that nothing stands behind."""
    from calls.scenarios import SCENARIOS
    from loadtests.plan.daily_curve import load_curves
    from loadtests.plan.personas import load_personas
    from loadtests.plan.regions import load_regions
    from network_profiles import load_catalogue

    problems = []

    def look_up(key: str, what: str, name: object, known: Iterable[str]) -> None:
        choices = set(known)
        if isinstance(name, str) and name and name not in choices:
            problems.append(unknown_name(file, f"swarm.{key}", what, name, choices))

    look_up("mix", "mix", swarm.get("mix"), load_personas().mixes)
    if swarm.get("region"):
        look_up("region", "region", swarm["region"], load_regions())
    networks = swarm.get("probe_networks")
    for network in networks if isinstance(networks, list) else ():
        look_up("probe_networks", "network", network, load_catalogue())
    daily, scenarios = swarm.get("daily"), swarm.get("scenarios")
    if isinstance(daily, dict):
        look_up("daily.curve", "curve", daily.get("curve"), load_curves())
    for name in scenarios if isinstance(scenarios, dict) else ():
        look_up(f"scenarios.{name}", "scenario", name, SCENARIOS)
    return problems

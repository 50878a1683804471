"""What is changed of a plan for one run: Locust's command line and its start form have a field for each.

A field that is left empty stands for what the plan says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from bedrock.errors import InputError, Problem
from bedrock.toml_input import check
from loadtests.plan.occupancy import occupancy_of
from loadtests.plan.personas import load_personas
from loadtests.plan.scaling import LONGEST_SCALE, SHORTEST_SCALE, Tables, scale_level, scale_time, tables_of, with_shape
from loadtests.plan.swarm_plan import SHAPES, STEPWISE, LoadPlan, TalkTable, people_needed, unknown_names

PLANNED = "plan"
"""What a field with choices says in place of being empty."""
NO_REGION = "none"
STEPWISE_SLO = "stages"
"""The SLO of a load that was made to be judged step by step: rules that a step's few calls can decide."""
MOST_CALLS_PER_MIN = 1_000_000


@dataclass(frozen=True, slots=True)
class PlanOverrides:
    """Every field as it was written, empty for unchanged."""

    shape: str = ""
    calls: str = ""
    calls_per_min: str = ""
    time_scale: str = ""
    people: str = ""
    mix: str = ""
    region: str = ""
    scenarios: str = ""
    talk_median_s: str = ""
    dtx: str = ""
    messages_per_min: str = ""
    visits_per_min: str = ""
    probe_calls: str = ""
    seed: str = ""

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> PlanOverrides:
        """Returns the changes in a start form, or in Locust's parsed options."""
        texts = {field.name: str(values.get(field.name) or "").strip() for field in fields(cls)}
        return cls(**{name: "" if text == PLANNED else text for name, text in texts.items()})

    def apply(self, plan: LoadPlan) -> LoadPlan:
        """Returns the plan with these changes. Raises InputError with every problem of them."""
        if self == PlanOverrides():
            return plan
        problems: list[Problem] = []
        numbers = _NumberReader(self, problems)
        tables = {**tables_of(plan.swarm), **self._people_and_habits(numbers, problems)}
        tables |= {"talk_s": _scaled_talk(tables["talk_s"], numbers.read("talk_median_s", 0.1, 3600))}
        shape = self.shape or plan.swarm.shape
        if shape not in SHAPES:
            problems.append(Problem("--shape", "", f"unknown shape '{shape}'", "one of " + ", ".join(SHAPES)))
        unknown = unknown_names({key: tables.get(key) for key in ("mix", "region", "scenarios")}, "changed")
        problems += [Problem(f"--{one.key.split('.')[1]}", "", one.message, one.hint) for one in unknown]
        calls, per_min = numbers.read("calls", 0.1, 100_000), numbers.read("calls_per_min", 0.1, MOST_CALLS_PER_MIN)
        time_scale = numbers.read("time_scale", SHORTEST_SCALE, LONGEST_SCALE)
        seed = numbers.read("seed", 0, 2**53, whole=True)
        if calls is not None and per_min is not None:
            problems.append(Problem("--calls-per-min", "", "says what --calls says in other words: give one of them"))
        if problems:
            raise InputError(problems)
        peak = plan.swarm.peak_calls
        tables = with_shape(tables, shape, peak, plan.swarm.length_s())
        if per_min is not None:
            calls = per_min / 60 * _talking_s(tables, plan.service.no_answer_s)
        if calls is not None:
            tables, peak = scale_level(tables, calls / peak), calls
        if time_scale is not None:
            tables = scale_time(tables, time_scale)
        if not self.people:
            # Whoever asks for more calls asks for the people too.
            needed = math.ceil(people_needed(peak, TalkTable(**tables["talk_s"]).talk_time().mean_s()))
            tables["people"] = max(tables["people"], needed)
        slo = STEPWISE_SLO if shape in STEPWISE and shape != plan.swarm.shape else plan.slo
        whole = plan.model_dump(mode="json", exclude={"swarm"})
        whole |= {"swarm": tables, "slo": slo, "seed": plan.seed if seed is None else seed}
        return check(LoadPlan, whole, f"plan '{plan.name}', as changed")

    def _people_and_habits(self, numbers: _NumberReader, problems: list[Problem]) -> Tables:
        """Returns the keys of the section that are simply replaced."""
        replaced: Tables = {
            "people": numbers.read("people", 4, 1_000_000, whole=True),
            "messages_per_person_per_min": numbers.read("messages_per_min", 0, 600),
            "visits_per_person_per_min": numbers.read("visits_per_min", 0, 60),
            "probe_calls": numbers.read("probe_calls", 0, 200, whole=True),
            "mix": self.mix or None,
            "scenarios": _weights(self.scenarios, problems) if self.scenarios else None,
        }
        if self.region:
            replaced["region"] = "" if self.region == NO_REGION else self.region
        if self.dtx:
            replaced["dtx"] = self.dtx == "on"
            if self.dtx not in ("on", "off"):
                problems.append(Problem("--dtx", "", f"must be on or off (got '{self.dtx}')"))
        return {key: value for key, value in replaced.items() if value is not None}


class _NumberReader:
    """Reads numbers out of fields, and collects what is wrong with them."""

    def __init__(self, changes: PlanOverrides, problems: list[Problem]) -> None:
        self._changes = changes
        self._problems = problems

    def read(self, name: str, low: float, high: float, *, whole: bool = False) -> Any:
        """Returns the number in a field, None for an empty or a wrong one."""
        text = getattr(self._changes, name)
        if not text:
            return None
        try:
            number = int(text) if whole else float(text)
        except ValueError:
            number = math.nan
        if low <= number <= high:
            return number
        what = "a whole number" if whole else "a number"
        option = "--" + name.replace("_", "-")
        self._problems.append(Problem(option, "", f"must be {what} from {low:g} to {high:g} (got '{text}')"))
        return None


def _weights(text: str, problems: list[Problem]) -> dict[str, float]:
    """Reads ``talk=90, decline=3``."""
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, weight = part.partition("=")
        try:
            weights[name.strip()] = float(weight) if separator else 1.0
        except ValueError:
            weights[name.strip()] = math.nan
    if not all(0 <= weight < math.inf for weight in weights.values()) or not sum(weights.values()):
        problems.append(
            Problem("--scenarios", "", f"must be names and weights, e.g. talk=90, decline=3 (got '{text}')")
        )
    return weights


def _scaled_talk(talk: Tables, median_s: float | None) -> Tables:
    """Returns ``talk_s`` with another median, its shortest and longest in proportion."""
    if median_s is None:
        return talk
    ratio = median_s / talk["median"]
    return {key: value if key == "sigma" else value * ratio for key, value in talk.items()}


def _talking_s(tables: Tables, no_answer_s: float) -> float:
    """Returns the mean seconds of media of one start: by Little's law, calls at once for a start a second."""
    book = load_personas()
    talk = TalkTable(**tables["talk_s"]).talk_time()
    return occupancy_of(talk, book.mixes[tables["mix"]], book, no_answer_s, tables["scenarios"]).talking_s()

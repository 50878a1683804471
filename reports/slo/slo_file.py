"""Reads an SLO file: limits of a completed call, bounds of a valid run, and the rules of the release gate.

    [limits]
    setup_limit_s = 20.0
    gap_limit_ms = 3000.0

    [[rule]]
    name = "calls complete on 2G"
    metric = "completion_ratio"                      # see metrics.py
    where = { source = "swarm", generation = "2g" }  # equal to the value, or to one of a list
    objective = ">= 0.85"
    confidence = 0.95                                # of each one-sided bound
    min_n = 60                                       # fewer calls than this never pass
    required = true                                  # false: shown, but does not change the verdict

The objective's grammar:

    objective ::= operator space* number
    operator  ::= ">=" | "<=" | ">" | "<"
    number    ::= digit+ [ "." digit+ ]     of at most 9 digits each

A ratio's number lies between 0 and 1; any other has the unit that the metric's name ends in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from bedrock.errors import InputError, Problem
from bedrock.toml_input import Written, check, nearest, read_toml, unknown_name
from reports.slo.metrics import GENERATIONS, METRICS, NO_ACCESS_LINK, WHERE_KEYS, Better, Kind, Metric

BUILT_IN: Final = Path(__file__).parent
_OBJECTIVE: Final = re.compile(r"(?P<operator>>=|<=|>|<)\s*(?P<number>[0-9]{1,9}(\.[0-9]{1,9})?)")

_PLAIN_KEYS: Final = frozenset({"source", "generation", "tier"})

Operator = Literal[">=", "<=", ">", "<"]
WhereValue = str | bool | tuple[str, ...]


class CompletedCallLimits(Written):
    """The limits that a completed call must meet."""

    setup_limit_s: float = Field(default=20.0, gt=0, le=600)
    """From the intended start to audio both ways, without ringing time."""
    gap_limit_ms: float = Field(default=3000.0, gt=0, le=600_000)
    """The longest silence that a completed call may have."""


class ValidityBounds(Written):
    """The bounds of a valid run. Beyond them it can't be trusted, or too little was tested. See validity.py."""

    send_late_p99_ms_max: float = Field(default=10.0, gt=0, le=60_000)
    """For one second of a swarm engine, and for one leg of the swarm."""
    matrix_send_late_p99_ms_max: float = Field(default=40.0, gt=0, le=60_000)
    """For one second of the far end of the device matrix: two frames of 20 ms. It carries one call only."""
    send_late_seconds_ratio_max: float = Field(default=0.05, ge=0, le=1)
    """Share of leg-seconds, so that a late second counts once for each call that was active in it."""
    send_late_legs_ratio_max: float = Field(default=0.25, ge=0, le=1)
    """One late second puts every leg of that second over the bound, so a share of the legs is allowed."""
    datagrams_dropped_max: int = Field(default=0, ge=0, le=1_000_000_000)
    health_gap_s_max: float = Field(default=5.0, gt=0, le=3600)
    lost_halves_ratio_max: float = Field(default=0.01, ge=0, le=1)
    starts_dropped_ratio_max: float = Field(default=0.05, ge=0, le=1)
    environment_error_ratio_max: float = Field(default=0.1, ge=0, le=1)
    """Share of the planned cells without a result for the product, after all attempts."""
    environment_retry_ratio_max: float = Field(default=0.2, ge=0, le=1)
    """Share of the cells in which the environment failed at least once, even if a retry passed.

    Above it, a pass may be luck. It also bounds a product that crashes browsers now and then.
    """
    environment_retries_forgiven: int = Field(default=1, ge=0, le=1_000_000_000)
    """This many cells may need another attempt, even if they are a large share of a small matrix."""
    deaths_repaired_max: int = Field(default=0, ge=0, le=1_000_000_000)
    """This many browsers and links may die in the middle of a cell if the next attempt passes."""
    unreadable_segments_max: int = Field(default=0, ge=0, le=1_000_000_000)
    cpu_ratio_max: float = Field(default=0.97, gt=0, le=100)
    """Of one core, for one second of an engine or a Locust worker: each works in one thread."""
    loop_lag_p99_ms_max: float = Field(default=100.0, gt=0, le=60_000)
    """For one second of a swarm engine."""
    steal_ratio_max: float = Field(default=0.25, gt=0, le=1)
    """CPU steal: share of a second of the whole machine that the hypervisor took."""
    busy_seconds_ratio_max: float = Field(default=0.2, ge=0, le=1)
    """Share of the seconds of a process that may be over one of the three bounds above."""
    fds_used_ratio_max: float = Field(default=0.9, gt=0, le=1)
    """In any second. Beyond it calls fail because they get no socket, and the service would be blamed."""
    ports_used_ratio_max: float = Field(default=0.9, gt=0, le=1)


class Rule(Written):
    """One rule of the gate, as written."""

    name: str = Field(min_length=1)
    metric: str
    where: dict[str, WhereValue] = Field(default_factory=dict)
    objective: str
    confidence: float = Field(default=0.95, ge=0.5, le=0.999_999)
    min_n: int = Field(default=1, ge=1, le=1_000_000_000)
    required: bool = True

    @property
    def operator(self) -> Operator:
        return _parse_objective(self.objective)[0]

    @property
    def limit(self) -> float:
        return _parse_objective(self.objective)[1]

    @property
    def scope(self) -> str:
        """The ``where`` in words, e.g. ``swarm, 4g/5g/wifi``. Keys with obvious values are not named."""
        parts = []
        for key, value in self.where.items():
            values = "/".join(_names(value))
            parts.append(values if key in _PLAIN_KEYS else f"{key} {values}")
        return ", ".join(parts) or "all"

    def matches(self, value: float) -> bool:
        """Returns whether a value meets the target."""
        limit = self.limit
        return {">=": value >= limit, "<=": value <= limit, ">": value > limit, "<": value < limit}[self.operator]


class SloFile(Written):
    """A checked SLO file."""

    name: str = Field(min_length=1)
    file: str = ""
    """Where it was read from; set by ``load_slo``."""
    limits: CompletedCallLimits = CompletedCallLimits()
    validity: ValidityBounds = ValidityBounds()
    rule: tuple[Rule, ...] = Field(min_length=1, max_length=500)


def built_in_names() -> list[str]:
    """Returns the names that ``load_slo`` knows without a path."""
    return sorted(path.stem for path in BUILT_IN.glob("*.toml"))


def load_slo(name_or_path: str | Path) -> SloFile:
    """Reads a built-in SLO file by name, or any by path. Raises InputError with every problem at once."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in built_in_names():
            raise InputError([unknown_name(str(name_or_path), "", "SLO file", str(name_or_path), built_in_names())])
        path = BUILT_IN / f"{name_or_path}.toml"
    tables = {"name": path.stem, **read_toml(path)}
    return check_slo(tables, str(path))


def check_slo(tables: dict[str, Any], file: str) -> SloFile:
    """Returns the tables of an SLO file, checked. Raises InputError with every problem at once."""
    problems: list[Problem] = []
    slo = None
    if "file" in tables:
        problems.append(Problem(file, "file", "unknown key", nearest("file", ["name", "limits", "validity", "rule"])))
    try:
        slo = check(SloFile, {**tables, "file": file}, file)
    except InputError as error:
        problems.extend(error.problems)
    rules = tables.get("rule")
    written = [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []
    for index, rule in enumerate(written):
        problems.extend(_rule_problems(rule, file, f"rule[{index}]"))
    problems.extend(_duplicate_names(written, file))
    if problems or slo is None:
        raise InputError(problems)
    return slo


def _parse_objective(objective: str) -> tuple[Operator, float]:
    match = _OBJECTIVE.fullmatch(objective.strip())
    if match is None:
        raise ValueError(f"not an objective: {objective!r}")
    operator: Any = match["operator"]
    return operator, float(match["number"])


def _rule_problems(rule: dict[str, Any], file: str, key: str) -> Iterable[Problem]:
    name = rule.get("metric")
    metric = METRICS.get(name) if isinstance(name, str) else None
    if isinstance(name, str) and metric is None:
        yield unknown_name(file, f"{key}.metric", "metric", name, METRICS)
    if isinstance(rule.get("objective"), str):
        yield from _objective_problems(rule["objective"], metric, file, f"{key}.objective")
    if metric is not None and isinstance(rule.get("where"), dict):
        yield from _where_problems(rule["where"], metric, file, f"{key}.where")


def _objective_problems(objective: str, metric: Metric | None, file: str, key: str) -> Iterable[Problem]:
    try:
        operator, limit = _parse_objective(objective)
    except ValueError:
        yield Problem(file, key, f"'{objective}' is not an objective", "write e.g. '>= 0.97' or '<= 150'")
        return
    if metric is None:
        return
    if (metric.better is Better.HIGHER) != operator.startswith(">"):
        sense = ">=" if metric.better is Better.HIGHER else "<="
        yield Problem(file, key, f"for {metric.name} {metric.better} is better", f"write '{sense} {limit:g}'")
    if (metric.kind is Kind.RATIO or metric.unit == "ratio") and limit > 1:
        yield Problem(file, key, f"{metric.name} lies between 0 and 1 (got {limit:g})", f"write {limit / 100:g}")


def _where_problems(where: dict[str, Any], metric: Metric, file: str, key: str) -> Iterable[Problem]:
    known = WHERE_KEYS[metric.table]
    for name, value in where.items():
        if name not in known:
            hint = nearest(name, known) or f"{metric.name} is measured over the whole run: leave out 'where'"
            yield Problem(file, f"{key}.{name}", f"{metric.name} cannot be filtered by '{name}'", hint)
            continue
        allowed = _allowed(name)
        for item in _names(value):
            if allowed and item not in allowed:
                yield unknown_name(file, f"{key}.{name}", name, item, allowed)


def _allowed(key: str) -> tuple[str, ...]:
    if key == "generation":
        return GENERATIONS
    if key == "source":
        return ("swarm", "matrix")
    return ()


def _duplicate_names(rules: list[dict[str, Any]], file: str) -> Iterable[Problem]:
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        name = rule.get("name")
        if isinstance(name, str) and name in seen:
            yield Problem(file, f"rule[{index}].name", f"two rules are named '{name}'", "give each its own name")
        seen.add(str(name))


def _names(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)


def where_values(value: WhereValue) -> tuple[str, ...]:
    """Returns the strings in the records that a ``where`` value stands for."""
    return tuple("" if item == NO_ACCESS_LINK else item for item in _names(value))

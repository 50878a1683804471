"""Turns the tables of a ``[swarm]`` section into another load: another shape, another level, another pace.

A field's unit stands in its name, so that one rule serves every shape: what ends in ``calls`` is a level, what ends in
``_s``, but for ``_per_s``, is a time. Works on plain tables that were checked, and leaves the new ones to be checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loadtests.plan.swarm_plan import SHAPES, STEPWISE, SwarmPlan

Tables = dict[str, Any]
RISE_S = 15.0
RISE_RATIO = 0.15
"""The rise of a shape that a plan has no table for: so long, but no more than this share of the whole."""
LENGTH_S = 120.0
"""How long a load is made that must have an end, where the plan's has none."""
SHORTEST_SCALE, LONGEST_SCALE = 0.0001, 1000.0
"""By how much a load may be played faster or slower."""
SHORTEST_DAY_S = 24.0
"""What a plan allows: a daily curve cannot be played faster."""


def tables_of(swarm: SwarmPlan) -> Tables:
    """Returns the section as a person could have written it, every default spelled out."""
    tables: Tables = swarm.model_dump(mode="json", exclude_none=True)
    if not tables["stages"]:
        del tables["stages"]
    return tables


def with_shape(tables: Tables, shape: str, peak_calls: float, length_s: float | None) -> Tables:
    """Returns the section with a load of another shape, about as high and, where ``length_s`` is known, as long."""
    if shape == tables["shape"] or shape not in SHAPES:
        return {**tables, "shape": shape}
    kept = {key: value for key, value in tables.items() if key not in SHAPES}
    if shape in STEPWISE:
        kept.pop("daily", None)  # it would move the level that a step is judged at
    return {**kept, "shape": shape, shape: _MAKERS[shape](peak_calls, length_s)}


def scale_level(tables: Tables, ratio: float) -> Tables:
    """Returns the section with every level of its load multiplied by ``ratio``."""
    return _each_load(tables, lambda key, value: value * ratio if key.endswith("calls") else value)


def scale_time(tables: Tables, ratio: float) -> Tables:
    """Returns the section with every time of its load multiplied by ``ratio``; calls are as long as ever."""

    def scaled(key: str, value: Any) -> Any:
        return value * ratio if key.endswith("_s") and not key.endswith("_per_s") else value

    paced = _each_load(tables, scaled)
    if "daily" in paced:
        day_s = max(SHORTEST_DAY_S, paced["daily"]["day_s"] * ratio)
        paced["daily"] = {**paced["daily"], "day_s": min(day_s, 86_400.0)}
    return paced


def _each_load(tables: Tables, change: Callable[[str, Any], Any]) -> Tables:
    """Returns the section with ``change`` applied to every field of its load's table, or tables."""

    def changed(table: Tables) -> Tables:
        return {key: change(key, value) for key, value in table.items()}

    shape = tables["shape"]
    load = tables[shape]
    return {**tables, shape: [changed(stage) for stage in load] if isinstance(load, list) else changed(load)}


def _rise_s(length_s: float | None) -> float:
    return RISE_S if length_s is None else min(RISE_S, RISE_RATIO * length_s)


def _stages(peak: float, length_s: float | None) -> list[Tables]:
    rise_s = _rise_s(length_s)
    hold_s = 0.0 if length_s is None else length_s - rise_s
    return [
        {"name": "ramp", "duration_s": rise_s, "concurrent_calls": peak},
        {"name": "hold", "duration_s": hold_s, "concurrent_calls": peak},
    ]


def _steady(peak: float, length_s: float | None) -> Tables:
    rise_s = _rise_s(length_s)
    return {"calls": peak, "rise_s": rise_s, "hold_s": 0.0 if length_s is None else length_s - rise_s}


def _ramp(peak: float, length_s: float | None) -> Tables:
    return {"to_calls": peak, "ramp_s": length_s or LENGTH_S}


def _launch_day(peak: float, length_s: float | None) -> Tables:
    whole_s = length_s or LENGTH_S
    return {
        "spike_calls": peak,
        "plateau_calls": peak / 2,
        "rise_s": whole_s * 0.05,
        "spike_s": whole_s * 0.2,
        "fall_s": whole_s * 0.1,
        "plateau_s": whole_s * 0.65 if length_s is not None else 0.0,
    }


def _soak(peak: float, length_s: float | None) -> Tables:
    whole_s = length_s or LENGTH_S
    rise_s = _rise_s(whole_s)
    return {"calls": peak, "rise_s": rise_s, "hold_s": whole_s - rise_s}


def _knee(peak: float, _length_s: float | None) -> Tables:
    return {"start_calls": max(1.0, peak / 10), "max_calls": max(1.0, peak)}


def _rollout(peak: float, _length_s: float | None) -> Tables:
    return {"peak_calls": peak}


_MAKERS: dict[str, Callable[[float, float | None], Any]] = {
    "stages": _stages,
    "steady": _steady,
    "ramp": _ramp,
    "launch_day": _launch_day,
    "soak": _soak,
    "knee": _knee,
    "rollout": _rollout,
}

"""Refuses a plan whose load is beyond what this machine was last measured to carry."""

from __future__ import annotations

import math
import os

from bedrock.errors import EnvironmentLacks
from calls.bench.capacity import Capacity, last_bench
from loadtests.plan.occupancy import occupancy_of
from loadtests.plan.personas import load_personas
from ringfence.run_plan import RunPlan

BENCH = "ringfence bench media"


def require_capacity(plan: RunPlan) -> str:
    """Returns one line of advice, or an empty text. Raises EnvironmentLacks for a plan beyond the last measurement."""
    if plan.settings.swarm is None:
        return ""
    bench = last_bench()
    if bench is None:
        return f"no measurement of how many calls this machine carries; run '{BENCH}' to have plans checked against it"
    refuse_overload(plan, bench, os.cpu_count() or 1)
    return ""


def refuse_overload(plan: RunPlan, bench: Capacity, cores: int) -> None:
    """Raises EnvironmentLacks when the plan's peak is more than ``cores`` cores like the measured one carry."""
    swarm = plan.settings.swarm
    if swarm is None:
        return
    busy_cores = min(swarm.workers, cores)
    calls, starts_per_s = swarm.peak_calls, _starts_per_s(plan)
    carried_calls, carried_starts = bench.calls_per_core * busy_cores, bench.setups_per_s_core * busy_cores
    if calls <= carried_calls and starts_per_s <= carried_starts:
        return
    name, workers = plan.settings.name, _counted(swarm.workers, "worker")
    if calls > carried_calls:
        wanted = f"{calls:g} calls at once"
        measured = f"{bench.calls_per_core} calls a core: {carried_calls} on {busy_cores} of {cores} cores"
        needed_cores = math.ceil(calls / max(1, bench.calls_per_core))
    else:
        wanted = f"{starts_per_s:.0f} set-ups a second"
        measured = (
            f"{bench.setups_per_s_core:.0f} set-ups a second and core: {carried_starts:.0f} on {busy_cores} of "
            f"{cores} cores"
        )
        needed_cores = math.ceil(starts_per_s / max(1e-9, bench.setups_per_s_core))
    raise EnvironmentLacks(
        f"the plan '{name}' asks for {wanted} from {workers}, and this machine was last measured to carry {measured}",
        hint=_advice(needed_cores, cores),
    )


def _starts_per_s(plan: RunPlan) -> float:
    """Returns how many calls a second must start to hold the peak, from the length of the plan's calls."""
    swarm = plan.settings.swarm
    assert swarm is not None
    book = load_personas()
    patience = swarm.patience_s.patience() if swarm.patience_s is not None else None
    no_answer_s = plan.settings.service.no_answer_s
    mix = book.mixes[swarm.mix]
    occupancy = occupancy_of(swarm.talk_s.talk_time(), mix, book, no_answer_s, swarm.scenarios, patience)
    return swarm.peak_calls / occupancy.talking_s() if occupancy.talking_s() > 0 else 0.0


def _advice(needed_cores: int, cores: int) -> str:
    if needed_cores <= cores:
        return f"set swarm.workers = {needed_cores}, one for each core that the plan needs; or start it with --force"
    return (
        f"it needs {needed_cores} cores: lower the load, add workers on other machines, or start it with --force; the "
        f"run is INVALID if the generator falls behind. '{BENCH}' measures again"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

"""``ringfence scenarios``: what can happen in a call, in the swarm and in the device matrix."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import json_text
from calls.scenarios import SCENARIOS as SWARM_SCENARIOS
from calls.scenarios import Part, Scenario
from device_matrix.scenarios import SCENARIOS as MATRIX_SCENARIOS
from device_matrix.scenarios import CellScenario
from reports.slo.metrics import GENERATIONS, NO_ACCESS_LINK
from ringfence.cli.lookup.tables import entry_named, print_facts, print_list, print_note


def list_scenarios(*, json: bool = False) -> int:
    """List the scenarios of the swarm (synthetic callers) and of the matrix (devices).

    Parameters
    ----------
    json
        Print a JSON array instead of a table.
    """
    if json:
        swarm = [_swarm_as_json(scenario) for scenario in SWARM_SCENARIOS.values()]
        print(json_text([*swarm, *(_cell_as_json(*named) for named in MATRIX_SCENARIOS.items())], indent=1))
        return ExitCode.PASS
    rows = [(name, "swarm", scenario.title) for name, scenario in SWARM_SCENARIOS.items()]
    rows += [
        (name, "matrix", f"{scenario.title[:1].upper()}{scenario.title[1:]}")
        for name, scenario in MATRIX_SCENARIOS.items()
    ]
    print_list(("scenario", "part", "what happens"), rows, uncut=2)
    print_note(
        "A plan weighs those of the swarm in [swarm.scenarios] and names those of the matrix in [[matrix.rules]]."
    )
    return ExitCode.PASS


def show_scenario(name: str, *, json: bool = False) -> int:
    """Show what each side of a call does in a scenario, and how the call may end; or the limits of a device's call.

    Parameters
    ----------
    name
        The scenario's name, e.g. hold.
    json
        Print a JSON object instead of lines.
    """
    known: dict[str, Scenario | CellScenario] = {**SWARM_SCENARIOS, **MATRIX_SCENARIOS}
    found = entry_named(name, known, "scenario")
    if isinstance(found, CellScenario):
        if json:
            print(json_text(_cell_as_json(name, found), indent=1))
        else:
            _print_cell_scenario(name, found)
        return ExitCode.PASS
    if json:
        print(json_text(_swarm_as_json(found), indent=1))
        return ExitCode.PASS
    print_facts(
        found.name,
        [
            ("part", "swarm"),
            ("what happens", found.title),
            *_side("caller", found.caller),
            *_side("callee", found.callee),
            ("needs", ", ".join(_needs(found))),
        ],
    )
    return ExitCode.PASS


def _side(side: str, part: Part) -> list[tuple[str, str]]:
    acts = [f"{step.action.value.replace('_', ' ')} at {step.at_ratio:.0%} of the call" for step in part.steps]
    decision = "" if part.decision is None else f"{part.decision.value}"
    wait = "" if part.after_s is None else f"after {part.after_s:g} s of ringing"
    done = ", ".join(each for each in (f"{decision} {wait}".strip(), *acts) if each)
    ends = ", ".join(sorted(outcome.value for outcome in part.expected))
    return [(f"{side} does", done), (f"{side}'s call ends", ends)]


def _needs(scenario: Scenario) -> list[str]:
    needs = {
        "a callee who is in another call": scenario.needs_busy_callee,
        "a second device of the callee": scenario.needs_second_device,
    }
    return [what for what, is_needed in needs.items() if is_needed]


def _print_cell_scenario(name: str, scenario: CellScenario) -> None:
    print_facts(
        name, [("part", "matrix"), ("what happens", scenario.title), ("limits", "by generation of the network")]
    )
    rows = []
    for generation in GENERATIONS:
        limits = scenario.limits(_in_records(generation))
        lost = f"{limits.effective_loss_ratio:.0%}"
        rows.append((generation, f"{limits.setup_s:g} s", f"{limits.gap_ms:g} ms", lost, f"{limits.hang_up_s:g} s"))
    print_list(("network", "set-up", "silence", "audio lost", "hang-up"), rows)


def _in_records(generation: str) -> str:
    return "" if generation == NO_ACCESS_LINK else generation


def _swarm_as_json(scenario: Scenario) -> dict[str, Any]:
    def side(part: Part) -> dict[str, Any]:
        return {
            "decision": None if part.decision is None else part.decision.value,
            "after_s": part.after_s,
            "actions": [{"at_ratio": step.at_ratio, "action": step.action.value} for step in part.steps],
            "may_end": sorted(outcome.value for outcome in part.expected),
        }

    return {
        "name": scenario.name,
        "part": "swarm",
        "title": scenario.title,
        "caller": side(scenario.caller),
        "callee": side(scenario.callee),
        "needs": _needs(scenario),
    }


def _cell_as_json(name: str, scenario: CellScenario) -> dict[str, Any]:
    limits = {generation: asdict(scenario.limits(_in_records(generation))) for generation in GENERATIONS}
    return {"name": name, "part": "matrix", "title": scenario.title, "limits": limits}

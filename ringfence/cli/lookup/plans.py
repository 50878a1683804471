"""``ringfence plans``: what each plan does, what it needs, and how long it takes."""

from __future__ import annotations

from typing import Any

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import json_text
from bedrock.toml_input import find_file
from device_matrix.devices import catalogue
from device_matrix.plan.matrix_plan import MatrixPlan
from device_matrix.plan.planner import plan_cells
from loadtests.plan.swarm_plan import SwarmPlan
from network_profiles import load_catalogue
from ringfence.cli.lookup.tables import duration, print_facts, print_list, print_note, short_path
from ringfence.doctor.preflight import tiers_of
from ringfence.run_plan import PLANS_FOLDER, RunPlan, built_in_plans, load_plan


def list_plans(*, json: bool = False) -> int:
    """List the plans that come with ringfence: how long each takes, its peak, and what it needs.

    Parameters
    ----------
    json
        Print a JSON array instead of a table.
    """
    facts = [_facts(load_plan(str(path))) for path in built_in_plans().values()]
    if json:
        print(json_text(facts, indent=1))
        return ExitCode.PASS
    rows = []
    for each in facts:
        swarm, matrix = each["swarm"] or {}, each["matrix"] or {}
        peak, cells = swarm.get("peak_calls"), matrix.get("cells")
        rows.append(
            (
                each["name"],
                duration(each["takes_s"]),
                "-" if peak is None else f"{peak:g}",
                "-" if cells is None else str(cells),
                ", ".join(each["needs"]),
                each["title"],
            )
        )
    print_list(("plan", "takes", "peak calls", "cells", "needs tiers", "title"), rows, uncut=2)
    print_note(f"Files: {short_path(PLANS_FOLDER)}/NAME.toml. ringfence doctor shows which tiers this machine can run.")
    return ExitCode.PASS


def show_plan(name: str, *, json: bool = False) -> int:
    """Show one plan: its load, its cells, what it needs, how long it takes, and its file.

    Parameters
    ----------
    name
        The name of a plan that comes with ringfence, or a TOML file of your own.
    json
        Print a JSON object instead of lines.
    """
    plan = load_plan(str(find_file(name, built_in_plans(), "plan", option="NAME")))
    facts = _facts(plan)
    if json:
        print(json_text(facts, indent=1))
        return ExitCode.PASS
    print_facts(
        facts["name"],
        [
            ("title", facts["title"]),
            ("file", short_path(facts["file"])),
            ("takes", f"about {duration(facts['takes_s'])}, ended after {duration(facts['max_duration_s'])}"),
            ("needs tiers", ", ".join(facts["needs"])),
            ("judged by", f"{facts['slo']} (ringfence slo show {facts['slo']})"),
            ("target", facts["target"] or "the reference service, started by ringfence"),
        ],
    )
    if facts["swarm"]:
        print_facts("\nload", _load_lines(facts["swarm"]))
    if facts["matrix"]:
        print_facts("\ndevice matrix", _matrix_lines(facts["matrix"]))
    return ExitCode.PASS


def _facts(plan: RunPlan) -> dict[str, Any]:
    settings = plan.settings
    return {
        "name": settings.name,
        "title": settings.title,
        "file": str(plan.file),
        "takes_s": round(settings.estimated_duration_s),
        "max_duration_s": settings.max_duration_s,
        "needs": sorted(tier.value for tier in tiers_of(plan)),
        "slo": plan.slo.name,
        "target": settings.target.url,
        "swarm": None if settings.swarm is None else _load_facts(settings.swarm),
        "matrix": None if settings.matrix is None else _matrix_facts(settings.matrix, str(plan.file)),
    }


def _load_facts(swarm: SwarmPlan) -> dict[str, Any]:
    return {
        "shape": swarm.shape,
        "peak_calls": swarm.peak_calls,
        "people": swarm.people,
        "workers": swarm.workers,
        "mix": swarm.mix,
        "region": swarm.region,
        "talk_s_median": swarm.talk_s.median,
        "probe_calls": swarm.probe_calls,
        "scenarios": swarm.scenarios,
        "stages": [
            {"name": stage.name, "duration_s": stage.duration_s, "concurrent_calls": stage.concurrent_calls}
            for stage in swarm.timeline
        ],
    }


def _matrix_facts(matrix: MatrixPlan, file: str) -> dict[str, Any]:
    cells = plan_cells(matrix, catalogue(), load_catalogue(), file=file)
    return {
        "cells": len(cells),
        "workers": matrix.workers,
        "devices": sorted({cell.device for cell in cells}),
        "networks": sorted({cell.network for cell in cells}),
        "scenarios": sorted({cell.scenario for cell in cells}),
        "drivers": sorted({cell.driver for cell in cells}),
    }


def _load_lines(load: dict[str, Any]) -> list[tuple[str, str]]:
    weights = load["scenarios"]
    total = sum(weights.values())
    return [
        ("shape", load["shape"]),
        ("peak", f"{load['peak_calls']:g} calls at once"),
        ("people", f"{load['people']} of the mix {load['mix']}, on {load['workers']} workers"),
        ("region", load["region"]),
        ("calls last", f"{load['talk_s_median']:g} s (median)"),
        ("probe calls", f"{load['probe_calls']} pairs" if load["probe_calls"] else ""),
        ("scenarios", ", ".join(f"{name} {weight / total:.0%}" for name, weight in weights.items())),
        ("stages", "\n".join(_stage_line(stage) for stage in load["stages"])),
    ]


def _stage_line(stage: dict[str, Any]) -> str:
    lasts = duration(stage["duration_s"]) if stage["duration_s"] else "until the matrix has ended"
    return f"{stage['name']}: to {stage['concurrent_calls']:g} calls, {lasts}"


def _matrix_lines(matrix: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("cells", f"{matrix['cells']}, {matrix['workers']} at once"),
        *((name, ", ".join(matrix[name])) for name in ("scenarios", "networks", "drivers")),
        ("devices", f"{len(matrix['devices'])}: {', '.join(matrix['devices'])}"),
    ]

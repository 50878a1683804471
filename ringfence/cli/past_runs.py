"""``ringfence history`` and ``compare``: the runs of a folder, one below the other or side by side."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bedrock.errors import EnvironmentLacks, InputError, Problem
from bedrock.exit_codes import ExitCode

VERDICT_STYLES = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow", "INVALID": "magenta"}
FIGURES = ("calls", "completed", "peak", "cells", "passed")


def history(runs: Path = Path("runs"), *, json: bool = False) -> int:
    """List the runs of a folder, newest first, with their verdicts.

    Parameters
    ----------
    runs
        The folder that holds the runs.
    json
        Print a JSON array instead of a table.
    """
    if not runs.is_dir():
        raise EnvironmentLacks(f"there is no folder {runs}", hint="ringfence run --plan smoke makes the first run")
    found = [row for path in sorted(runs.iterdir(), reverse=True) if (row := _row(path)) is not None]
    if json:
        print(json_format.dumps(found, indent=1))
        return ExitCode.PASS
    table = Table("run", "verdict", "calls", "completed", "peak", "cells", "passed", box=None, header_style="dim")
    for row in found:
        verdict = f"[{VERDICT_STYLES.get(row['verdict'], 'dim')}]{row['verdict']}[/]"
        table.add_row(
            row["run"], verdict, *[str(row[key]) for key in ("calls", "completed", "peak", "cells", "passed")]
        )
    Console().print(table)
    return ExitCode.PASS


def compare(before: Path, after: Path = Path("runs/latest"), *, json: bool = False) -> int:
    """Show two runs' rules side by side: value, interval and verdict of each, and what changed.

    Parameters
    ----------
    before
        The folder of the run to compare with.
    after
        The folder of the run of interest.
    json
        Print a JSON object instead of a table.
    """
    old, new = _summary(before), _summary(after)
    rows = _paired_rules(old, new)
    if json:
        pair = {"before": old["verdict"], "after": new["verdict"], "rules": rows}
        print(json_format.dumps(pair, indent=1))
        return ExitCode.PASS
    table = Table("rule", before.resolve().name, after.resolve().name, "change", box=None, header_style="dim")
    table.add_row("[bold]verdict[/]", _styled(old["verdict"]), _styled(new["verdict"]), "")
    for row in rows:
        table.add_row(row["name"], _cell(row["before"]), _cell(row["after"]), row["change"])
    Console().print(table)
    Console().print("[dim]Intervals that overlap may be the same product: one pair of runs proves no trend.[/]")
    return ExitCode.PASS


def _paired_rules(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    earlier = {rule["name"]: rule for rule in old["rules"]}
    later = {rule["name"]: rule for rule in new["rules"]}
    rows = []
    for name in dict.fromkeys([*earlier, *later]):
        first, second = earlier.get(name), later.get(name)
        rows.append({"name": name, "before": first, "after": second, "change": _change(first, second)})
    return rows


def _change(first: dict[str, Any] | None, second: dict[str, Any] | None) -> str:
    if first is None or second is None:
        return "only in one run"
    if None in (first["low"], first["high"], second["low"], second["high"]):
        return ""
    if second["low"] > first["high"]:
        return "higher"
    return "lower" if second["high"] < first["low"] else ""


def _cell(rule: dict[str, Any] | None) -> str:
    if rule is None:
        return "-"
    value = "-" if rule["value"] is None else f"{rule['value']:.4g}"
    return f"{value} (n={rule['n']}) {_styled(rule['verdict'])}"


def _styled(verdict: str) -> str:
    return f"[{VERDICT_STYLES.get(verdict, 'dim')}]{verdict}[/]"


def _row(path: Path) -> dict[str, Any] | None:
    if path.is_symlink() or not (path / "manifest.json").exists():
        return None
    row: dict[str, Any] = {"run": path.name, "verdict": "no report"}
    row |= dict.fromkeys(FIGURES, "-")
    try:
        summary = _summary(path)
    except InputError:
        return row
    swarm, matrix = summary["swarm"], summary["matrix"]
    row |= {"verdict": summary["verdict"], "calls": swarm["calls"], "completed": swarm["completed"]}
    row |= {"peak": swarm["peak_concurrent"], "cells": matrix["cells"], "passed": matrix["by_status"].get("passed", 0)}
    return row


def _summary(run: Path) -> dict[str, Any]:
    path = run / "summary.json"
    try:
        summary: dict[str, Any] = json_format.loads(path.read_text())
    except OSError:
        raise InputError([Problem(str(path), "", "does not exist", f"make it with: ringfence report {run}")]) from None
    except ValueError as error:
        raise InputError([Problem(str(path), "", f"is not readable: {error}")]) from None
    return summary

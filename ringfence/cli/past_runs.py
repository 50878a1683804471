"""Implements ``ringfence history`` and ``ringfence compare``: lists the runs of a folder, or two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bedrock.errors import InputError, Problem, RingfenceError
from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import clean, clean_all, json_text
from reports.errors import RunFolderMissing
from reports.result.summary import SUMMARY_FORMAT, RuleKind, RuleResult, Summary, Verdict
from reports.run.file_input import Unreadable, decode_json, list_folder, read_file
from reports.run.run_folder import PARTS, find_run, is_run, refuse_newer, require_name
from reports.text import bounds, counted, figure, grouped

VERDICT_STYLES = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow", "INVALID": "magenta"}
FIGURES = ("calls", "completed", "peak", "cells", "passed")
NO_REPORT = "no report"
UNREADABLE = "unreadable"


def history(runs: Path = Path("runs"), *, json: bool = False) -> int:
    """List the runs of a folder, newest first, with their verdicts.

    Parameters
    ----------
    runs
        The folder that holds the runs.
    json
        Print a JSON array instead of a table.
    """
    found = [_row(path) for path in _runs_in(runs)]
    if json:
        print(json_text(found, indent=1))
        return ExitCode.PASS
    table = Table("run", "verdict", "calls", "completed", "peak", "cells", "passed", box=None, header_style="dim")
    for row in found:
        table.add_row(Text(row["run"]), _styled(row["verdict"]), *[str(row[key]) for key in FIGURES])
    console = Console()
    console.print(table)
    for row in found:
        if row["problem"]:
            console.print(Text(f"{row['run']}: {row['problem']}", "yellow"), soft_wrap=True)
    return ExitCode.PASS


def compare(before: Path, after: Path = Path("runs/latest"), *, json: bool = False) -> int:
    """Show the rules of two runs side by side: value, interval and verdict of each, and what changed.

    Checks of the test itself are shown where one of the runs breaks them.

    Parameters
    ----------
    before
        The folder of the run to compare with.
    after
        The folder of the run of interest.
    json
        Print a JSON object instead of a table.
    """
    (old_name, old), (new_name, new) = _summary(before), _summary(after)
    rows = _paired_rules(old, new)
    if json:
        print(json_text({"before": old.verdict.value, "after": new.verdict.value, "rules": rows}, indent=1))
        return ExitCode.PASS
    if old_name == new_name:
        old_name, new_name = clean(str(before)), clean(str(after))
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("rule", f"before: {old_name}", f"after: {new_name}", "change"):
        table.add_column(Text(name), overflow="fold")
    table.add_row(Text("verdict", "bold"), _styled(old.verdict), _styled(new.verdict), "")
    shown = [row for row in rows if _is_of_interest(row)]
    for row in shown:
        table.add_row(Text(row["name"]), _cell(row["before"]), _cell(row["after"]), _change_in_words(row))
    Console().print(table)
    if len(shown) < len(rows):
        checks = counted(len(rows) - len(shown), "check")
        Console().print(f"[dim]{checks} of the test itself passed in both runs (--json shows them).[/]")
    Console().print("[dim]A change is named where the intervals do not overlap. One pair of runs proves no trend.[/]")
    return ExitCode.PASS


def _runs_in(runs: Path) -> list[Path]:
    """Returns the runs of a folder, newest first. A folder that is itself a run is the only one.

    Raises RunFolderMissing when there is none, with the same message as the other commands.
    """
    require_name(runs)
    try:
        if is_run(runs):
            return [runs]
        folders = [path for path in list_folder(runs) if not path.is_symlink() and path.is_dir()]
        found = [path for path in reversed(folders) if _may_be_run(path)]
    except (OSError, Unreadable):
        found = []
    if not found:
        find_run(runs)  # says what is wrong with it
        raise RunFolderMissing(
            f"{runs} is no run folder: it holds none of {', '.join(PARTS)}",
            hint="name the folder that holds the runs, e.g. runs",
        )
    return found


def _may_be_run(path: Path) -> bool:
    try:
        return is_run(path)
    except OSError:
        return True


def _paired_rules(old: Summary, new: Summary) -> list[dict[str, Any]]:
    earlier = {rule.name: rule for rule in old.rules}
    later = {rule.name: rule for rule in new.rules}
    rows = []
    for name in dict.fromkeys([*earlier, *later]):
        first, second = earlier.get(name), later.get(name)
        sides = [None if rule is None else msgspec.to_builtins(rule) for rule in (first, second)]
        rows.append({"name": name, "before": sides[0], "after": sides[1], "change": _change(first, second)})
    return rows


def _change(first: RuleResult | None, second: RuleResult | None) -> str:
    if first is None or second is None:
        return "only in one run"
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return ""
    if second.low > first.high:
        return "higher"
    return "lower" if second.high < first.low else ""


def _is_of_interest(row: dict[str, Any]) -> bool:
    """Whether the table shows a row: every SLO rule, and each check of the test itself that one run breaks."""
    sides = [side for side in (row["before"], row["after"]) if side is not None]
    return any(side["kind"] == RuleKind.SLO or side["verdict"] != Verdict.PASS for side in sides)


def _change_in_words(row: dict[str, Any]) -> str:
    """Returns the change, and whether it is better or worse by the objective of the rule."""
    change, rule = row["change"], row["after"] or row["before"]
    if change not in {"higher", "lower"} or rule["kind"] != RuleKind.SLO:
        return str(change)
    higher_is_better = rule["objective"].startswith(">")
    return f"{change}: {'better' if (change == 'higher') == higher_is_better else 'worse'}"


def _cell(rule: dict[str, Any] | None) -> Text:
    if rule is None:
        return Text("-")
    shown = Text.assemble(f"{figure(rule['value'], rule['unit'])} ", _styled(rule["verdict"]))
    if rule["confidence"] is not None and rule["value"] is not None:
        interval = bounds(rule["low"], rule["high"], rule["unit"])
        shown.append(f"\n{interval}, n = {grouped(rule['n'])}", "dim")
    return shown


def _styled(verdict: str) -> Text:
    return Text(str(verdict), VERDICT_STYLES.get(verdict, "dim"))


def _row(path: Path) -> dict[str, Any]:
    """Returns one run in short. A problem with the run stands in its own row, so the others are still shown."""
    row: dict[str, Any] = {"run": clean(path.resolve().name), "verdict": NO_REPORT}
    row |= dict.fromkeys(FIGURES, "-") | {"problem": ""}
    try:
        summary = _read_summary(path)
    except FileNotFoundError:
        return row
    except Unreadable as error:
        return row | {"verdict": UNREADABLE, "problem": f"summary.json {error}"}
    except (RingfenceError, OSError) as error:
        return row | {"verdict": UNREADABLE, "problem": clean(str(error))}
    swarm, matrix = summary.swarm, summary.matrix
    row |= {"verdict": summary.verdict.value, "calls": swarm.calls, "completed": swarm.completed}
    return row | {"peak": swarm.peak_concurrent, "cells": matrix.cells, "passed": matrix.by_status.get("passed", 0)}


def _summary(run: Path) -> tuple[str, Summary]:
    """Returns the name of a run and its summary. Raises InputError, with the file's name, when there is none."""
    folder = find_run(run)
    file = str(folder.path / "summary.json")
    try:
        return clean(folder.path.name), _read_summary(folder.path)
    except FileNotFoundError:
        raise InputError([Problem(file, "", "does not exist", f"make it with: ringfence report {run}")]) from None
    except Unreadable as error:
        raise InputError([Problem(file, "", str(error), f"make it again with: ringfence report {run}")]) from None


def _read_summary(run: Path) -> Summary:
    file = run / "summary.json"
    settings = read_file(file)
    refuse_newer(settings, SUMMARY_FORMAT, file)
    return clean_all(decode_json(settings, Summary))

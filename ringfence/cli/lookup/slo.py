"""``ringfence slo``: SLO files, and their rules in words."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import clean, json_text
from reports.slo.metrics import METRICS, Kind
from reports.slo.slo_file import Rule, SloFile, ValidityBounds, built_in_names, load_slo
from reports.text import figure, percent
from ringfence.cli.lookup.metrics import POPULATIONS, unit_of
from ringfence.cli.lookup.tables import print_facts, print_list, print_note, print_paragraph, short_path
from ringfence.run_plan import built_in_plans, load_plan

OPERATORS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


def list_slo_files(*, json: bool = False) -> int:
    """List the SLO files that come with ringfence.

    Parameters
    ----------
    json
        Print a JSON array instead of a table.
    """
    users = _plans_by_slo()
    listed = [(load_slo(name), users.get(name, [])) for name in built_in_names()]
    if json:
        print(json_text([_as_json(slo) | {"plans": plans} for slo, plans in listed], indent=1))
        return ExitCode.PASS
    print_list(
        ("SLO file", "rules", "required", "used by plans", "file"),
        [
            (
                slo.name,
                str(len(slo.rule)),
                str(sum(rule.required for rule in slo.rule)),
                ", ".join(plans),
                short_path(slo.file),
            )
            for slo, plans in listed
        ],
    )
    print_note("ringfence slo show NAME says the rules of one in words.")
    return ExitCode.PASS


def show_slo_file(name: str, *, json: bool = False) -> int:
    """Show the rules of one SLO file in words, what a completed call must keep to, and when a run is not valid.

    Parameters
    ----------
    name
        The name of an SLO file that comes with ringfence, or a TOML file of your own.
    json
        Print a JSON object instead of lines.
    """
    slo = load_slo(name)
    if json:
        print(json_text(_as_json(slo), indent=1))
        return ExitCode.PASS
    limits = slo.limits
    print_facts(
        slo.name,
        [
            ("file", short_path(slo.file)),
            ("a completed call", f"has audio both ways within {limits.setup_limit_s:g} s (ringing not counted)"),
            ("", f"and no silence longer than {limits.gap_limit_ms:g} ms"),
        ],
    )
    console = Console(highlight=False)
    for rule in slo.rule:
        console.print(Text.assemble("\n", (clean(rule.name), "bold"), "" if rule.required else "  (shown only)"))
        print_paragraph(rule_in_words(rule), indent=2)
    console.print(Text("\nThe run is INVALID when the test setup goes over one of these bounds:", "bold"))
    print_facts("", [(name, f"{value:g}{_changed(name, value)}") for name, value in _bounds(slo).items()])
    return ExitCode.PASS


def rule_in_words(rule: Rule) -> str:
    """Returns what a rule asks for: the metric, the limit, the population, and how sure the gate must be."""
    metric = METRICS[rule.metric]
    limit = figure(rule.limit, unit_of(metric) if unit_of(metric) != "none" else "")
    asked = f"{rule.metric} must be {OPERATORS[rule.operator]} {limit}"
    if metric.kind is not Kind.COUNT:
        counted = POPULATIONS[metric.table]
        asked += f" over {counted} ({rule.scope})" if rule.where else f" over {counted}"
        asked += f", with {percent(rule.confidence)} % confidence from {rule.min_n} {counted} or more"
    return f"{asked}.\n{rule.metric}: {metric.meaning}."


def _bounds(slo: SloFile) -> dict[str, float]:
    return slo.validity.model_dump()


def _changed(name: str, value: float) -> str:
    usual = ValidityBounds.model_fields[name].default
    return "" if value == usual else f"  (usually {usual:g})"


def _plans_by_slo() -> dict[str, list[str]]:
    users: dict[str, list[str]] = {}
    for plan in built_in_plans():
        users.setdefault(load_plan(plan).slo.name, []).append(plan)
    return users


def _as_json(slo: SloFile) -> dict[str, Any]:
    rules = [rule.model_dump(mode="json") | {"in_words": rule_in_words(rule)} for rule in slo.rule]
    return {
        "name": slo.name,
        "file": slo.file,
        "limits": slo.limits.model_dump(),
        "validity": slo.validity.model_dump(),
        "rules": rules,
    }

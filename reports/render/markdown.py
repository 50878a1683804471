"""Writes ``summary.md``: a short summary to post as a comment on a merge request.

Text from a run is shown as it is. It mentions nobody (@name, #1), links nowhere, loads no picture and is no HTML. A
zero-width space breaks names and addresses, so that a forge makes no mention and no link of them. A backslash is not
enough: the forge looks at the text as shown.
"""

from __future__ import annotations

import re

from bedrock.foreign_text import clean_all
from reports.render.verdict_words import outlier_lines, retry_lines, verdict_sentence
from reports.result.summary import RuleKind, RuleResult, Summary, Verdict
from reports.text import bounds, clock, counted, figure, grouped

APART = "\N{ZERO WIDTH SPACE}"
_PUNCTUATION = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
_REFERENCE = re.compile(r"([@#!%&^~$])(?=\w)")
_ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp|www|data|javascript|vbscript|file)(?=[:.])")
_LINE_START = re.compile(r"^(\d*)([#+=.)-])")
SIGNS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCONCLUSIVE: "❔", Verdict.INVALID: "⚠️"}
CELLS_SHOWN = 10
REASONS_SHOWN = 10


def summary_markdown(summary: Summary, run_id: str) -> str:
    """Returns the comment."""
    summary, run_id = clean_all((summary, run_id))
    parts = [f"## {SIGNS[summary.verdict]} {summary.verdict}: {verdict_sentence(summary)}", _facts(summary, run_id)]
    if summary.reasons:
        parts.append("\n".join(f"- {_escape(reason)}" for reason in summary.reasons[:REASONS_SHOWN]))
    parts.append(_rules(summary.rules_of(RuleKind.SLO)))
    broken = [rule for rule in summary.rules_of(RuleKind.TRUST, RuleKind.EVIDENCE) if rule.verdict is not Verdict.PASS]
    if not broken:
        parts.append("These figures can be trusted: every check of the test machine and of the records passed.")
    retried = "\n".join(f"- {_escape(line)}" for line in retry_lines(summary.matrix))
    parts += [part for part in (_cells(summary), retried, _failures(summary)) if part]
    return "\n\n".join(parts) + "\n"


def _facts(summary: Summary, run_id: str) -> str:
    facts = [f"Run {_code(run_id)}"]
    if summary.swarm.calls:
        facts.append(f"{counted(summary.swarm.calls, 'swarm call')}, {grouped(summary.swarm.peak_concurrent)} at once")
    if summary.matrix.cells:
        facts.append(f"{counted(summary.matrix.devices, 'device')} in {counted(summary.matrix.cells, 'cell')}")
    facts.append("tiers " + ", ".join(map(_escape, summary.tiers)) if summary.tiers else "no tiers")
    if summary.duration_s is not None:
        facts.append(clock(summary.duration_s))
    return " · ".join(facts)


def _rules(rules: list[RuleResult]) -> str:
    lines = ["| | rule | measured | bounds | target | n |", "|---|---|---:|---:|---:|---:|"]
    for rule in rules:
        interval = "" if rule.confidence is None or rule.value is None else bounds(rule.low, rule.high, rule.unit)
        scope = "" if rule.scope in {"", "all"} else f" <sub>{_escape(rule.scope)}</sub>"
        cells = (
            SIGNS[rule.verdict], _escape(rule.name) + scope, _escape(figure(rule.value, rule.unit)), _escape(interval),
            _escape(rule.objective), grouped(rule.n),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cells(summary: Summary) -> str:
    bad = [cell for cell in summary.matrix.grid if cell.status not in {"passed", "skipped"}]
    if not bad:
        return ""
    lines = ["| cell | status | why | replay |", "|---|---|---|---|"]
    for cell in bad[:CELLS_SHOWN]:
        why = _escape(cell.detail or cell.reason)
        replay = _code(cell.replay, in_table=True) if cell.replay else ""
        lines.append(f"| {_escape(cell.cell)} | {_escape(cell.status.replace('_', ' '))} | {why} | {replay} |")
    if len(bad) > CELLS_SHOWN:
        lines.append(f"| … and {len(bad) - CELLS_SHOWN} more | | | |")
    return "\n".join([*lines, *(f"\n{_escape(line)}" for line in outlier_lines(summary.matrix))])


def _failures(summary: Summary) -> str:
    lines = [
        f"- {counted(group.calls, 'call')} failed: {_code(group.reason)}, blame {_escape(group.blame)}, "
        f"e.g. {_code(next(iter(group.examples), ''))}"
        for group in summary.swarm.failures[:5]
    ]
    return "\n".join(lines)


def _escape(text: str) -> str:
    """Text that is shown as it is, on one line, in a sentence or in a cell of a table."""
    text = " ".join(text.split())
    text = _ADDRESS.sub(rf"\1{APART}", _REFERENCE.sub(rf"\1{APART}", text))
    text = _LINE_START.sub(r"\1\\\2", _PUNCTUATION.sub(r"\\\g<0>", text))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(text: str, *, in_table: bool = False) -> str:
    """Text as code, which nothing in it can end: its fence is longer than any run of backticks inside."""
    text = " ".join(text.split("\n")) or " "
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    room = " " if text.startswith("`") or text.endswith("`") else ""
    if in_table:
        # A backslash of its own before the bar would be taken for the bar's.
        text = text.replace("\\|", "\\ |").replace("|", "\\|")
    return f"{fence}{room}{text}{room}{fence}"

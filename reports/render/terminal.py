"""Prints the summary on a terminal. The console sets width and colours, so piped output has no colours.

Text from a run is shown as ``Text``, which obeys no markup, after its control characters were removed.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bedrock.foreign_text import clean_all
from reports.render.matrix_terminal import print_matrix
from reports.render.quality_terminal import print_quality
from reports.render.stepped_load_terminal import print_stepped_load
from reports.render.terminal_layout import plain_table, section
from reports.render.verdict_words import MARKS, STYLES, outlier_lines, verdict_sentence
from reports.result.summary import RuleKind, RuleResult, Summary, SwarmFigures, Verdict
from reports.text import bounds, clock, counted, figure, grouped, percent

REASONS = 6
UNMEASURED_SHOWN = 3
"""When more rules than this had nothing to measure, one line names them."""


def render(summary: Summary, console: Console) -> None:
    """Prints the whole summary: verdict, rules, swarm, device matrix, generator health."""
    summary = clean_all(summary)
    console.print(_banner(summary))
    console.print(_rules(summary))
    print_stepped_load(summary, console)
    if summary.swarm.calls or summary.swarm.health.writers:
        console.print(_swarm(summary.swarm))
        print_quality(summary, console)
    print_matrix(summary.matrix, console)
    if summary.swarm.health.writers:
        console.print(_health(summary))
    console.print(
        Text("terms (leg, cell, tier, blame, MOS-LQ, …): docs/glossary.md, and the end of report.html", style="dim")
    )


def _banner(summary: Summary) -> RenderableType:
    style = STYLES[summary.verdict]
    facts = []
    if summary.swarm.calls:
        facts.append(f"{counted(summary.swarm.calls, 'call')}, {grouped(summary.swarm.peak_concurrent)} at once")
    if summary.matrix.cells:
        facts.append(f"{counted(summary.matrix.devices, 'device')} in {counted(summary.matrix.cells, 'cell')}")
    if summary.duration_s is not None:
        facts.append(clock(summary.duration_s))
    heading = Text.assemble((f"{MARKS[summary.verdict]} {summary.verdict}", style), f"  {verdict_sentence(summary)}")
    lines: list[RenderableType] = [heading, Text(" · ".join(facts), style="dim")]
    if summary.reasons:
        lines.append("")
        lines.extend(_bullet(reason) for reason in summary.reasons[:REASONS])
        if len(summary.reasons) > REASONS:
            lines.append(Text(f"… and {len(summary.reasons) - REASONS} more, in the checks below", style="dim"))
    return Panel(Group(*lines), border_style=style.removeprefix("bold "), box=box.HEAVY, padding=(0, 1))


def _bullet(reason: str) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row("•", Text(reason, overflow="fold"))
    return row


def _rules(summary: Summary) -> RenderableType:
    table = plain_table("", "rule", "measured", "bounds", "target", "n", right=("measured", "bounds", "target", "n"))
    rules = summary.rules_of(RuleKind.SLO)
    unmeasured = [rule for rule in rules if rule.value is None]
    folded = unmeasured if len(unmeasured) > UNMEASURED_SHOWN else []
    for rule in rules:
        if rule not in folded:
            table.add_row(*_rule_row(rule))
    checks = summary.rules_of(RuleKind.TRUST, RuleKind.EVIDENCE)
    broken = [check for check in checks if check.verdict is not Verdict.PASS]
    message = f"checks of the test itself: {len(checks) - len(broken)} of {len(checks)} passed"
    if broken:
        message += "; broken: " + ", ".join(check.name for check in broken)
    parts: list[RenderableType] = [table, ""] if len(folded) < len(rules) else []
    if folded:
        names = ", ".join(rule.name for rule in folded)
        parts += [
            Text(f"{counted(len(folded), 'rule')} had nothing to measure: {names}", STYLES[Verdict.INCONCLUSIVE]),
            "",
        ]
    return section("rules", *parts, Text(message, style="dim" if not broken else STYLES[Verdict.INVALID]))


def _rule_row(rule: RuleResult) -> Iterable[RenderableType]:
    style = STYLES[rule.verdict]
    name = Text.assemble(rule.name, ("" if rule.required else " (advisory)", "dim"))
    if rule.scope not in {"", "all"}:
        name.append(f"\n{rule.scope}", "dim")
    interval = "" if rule.confidence is None or rule.value is None else bounds(rule.low, rule.high, rule.unit)
    short = interval.removesuffix(f" {rule.unit}").removesuffix(" %")
    return (
        Text(MARKS[rule.verdict], style),
        name,
        Text(figure(rule.value, rule.unit), style),
        Text(short, "dim"),
        Text(rule.objective),
        Text(grouped(rule.n) if rule.confidence else "", "dim"),
    )


def _swarm(swarm: SwarmFigures) -> RenderableType:
    table = plain_table("tier", "calls", "completed", "set-up p50", "p95", "one-way p95", "MOS", right=True)
    table.columns[0].justify = "left"
    for tier, figures in swarm.by_tier.items():
        table.add_row(
            Text(tier),
            grouped(figures.calls),
            figure(figures.completion_ratio, "ratio"),
            figure(figures.setup_ms_p50, "ms"),
            figure(figures.setup_ms_p95, "ms"),
            figure(figures.owd_ms_p95, "ms"),
            figure(figures.mos_lq_median, ""),
        )
    held = "" if swarm.concurrent_held_60s is None else f", {grouped(swarm.concurrent_held_60s)} held for a minute"
    people = ", ".join(
        f"{grouped(count)} {outcome.replace('_', ' ')}"
        for outcome, count in swarm.by_outcome.items()
        if outcome not in {"completed", "failed"}
    )
    lines = [
        f"{counted(swarm.completed, 'call')} completed, {grouped(swarm.failed)} failed"
        + (f"; not counted: {people}" if people else ""),
        f"peak: {counted(swarm.peak_concurrent, 'call')} with audio both ways at once{held}",
    ]
    if swarm.messages.get("sent"):
        sent, failed = int(swarm.messages["sent"] or 0), int(swarm.messages["failed"] or 0)
        ack = figure(swarm.messages["ack_ms_p95"], "ms")
        lines.append(f"{counted(sent, 'message')}, {grouped(failed)} failed, 95 % acknowledged within {ack}")
    if swarm.lists.get("opened"):
        opened, failed = int(swarm.lists["opened"] or 0), int(swarm.lists["failed"] or 0)
        there = figure(swarm.lists["ms_p95"], "ms")
        heavy = (
            f", for users with long histories within {figure(swarm.lists['heavy_ms_p95'], 'ms')}"
            if swarm.lists["heavy_opened"]
            else ""
        )
        lines.append(f"{counted(opened, 'list page')}, {grouped(failed)} failed, 95 % loaded within {there}{heavy}")
    parts: list[RenderableType] = [Text(line) for line in lines]
    return section("swarm", *parts, "", table, *_failures(swarm))


def _failures(swarm: SwarmFigures) -> list[RenderableType]:
    if not swarm.failures:
        return []
    table = plain_table("failure reason", "blame", "calls", "for example", right=("calls",))
    for group in swarm.failures[:6]:
        example = Text(next(iter(group.examples), ""), "dim")
        table.add_row(Text(group.reason), Text(group.blame), grouped(group.calls), example)
    message: list[RenderableType] = ["", table]
    message += [Text(line, style="yellow") for line in outlier_lines(swarm)]
    return message


def _health(summary: Summary) -> RenderableType:
    table = plain_table("process", "role", "CPU mean", "max", "send delay p99", "seconds late", "dropped", right=True)
    table.columns[0].justify = table.columns[1].justify = "left"
    health = summary.swarm.health
    for writer in health.writers:
        late = f"{writer.late_seconds}/{writer.active_seconds}"
        table.add_row(
            Text(writer.writer),
            Text(writer.role),
            f"{percent(writer.cpu_ratio_mean)} %",
            f"{percent(writer.cpu_ratio_max)} %",
            figure(writer.send_late_p99_ms_median, "ms"),
            f"[magenta]{late}[/]" if writer.late_seconds else late,
            f"[magenta]{grouped(writer.datagrams_dropped)}[/]" if writer.datagrams_dropped else "0",
        )
    message = f"{grouped(health.starts_dropped)} of {counted(health.starts_planned, 'planned start')} dropped, "
    message += f"{counted(health.lost_halves, 'call')} without the record of one side, "
    message += f"{counted(health.segments_read, 'record file')} read, {len(health.segments_unreadable)} unreadable"
    return section("generator", table, Text(message, style="dim"))

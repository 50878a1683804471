"""The summary on a terminal. Width, colour and plainness are the console's business: piped output has no colours.

What a run recorded is shown as ``Text``, which obeys no markup, after its control characters are gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule as Line
from rich.table import Table
from rich.text import Text

from bedrock.foreign_text import clean_all
from reports.render.quality_terminal import print_quality
from reports.render.stepped_load_terminal import print_stepped_load
from reports.result.summary import GridCell, MatrixFigures, RuleKind, RuleResult, Summary, SwarmFigures, Verdict
from reports.run.cells import CellStatus
from reports.text import bounds, clock, counted, figure, grouped, percent

STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.INVALID: "magenta",
}
MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?", Verdict.INVALID: "!"}
SENTENCES = {
    Verdict.PASS: "every required rule holds",
    Verdict.FAIL: "the product broke a rule",
    Verdict.INCONCLUSIVE: "too little was tested to know",
    Verdict.INVALID: "the harness cannot vouch for its own figures",
}
CELL_MARKS = {
    "passed": ("●", "green"),
    "failed": ("✗", "bold red"),
    "environment_error": ("!", "magenta"),
    "skipped": ("-", "dim"),
    "missing": ("?", "magenta"),
}
WORST_CELLS = 8
RETRIES = 8
REASONS = 6


def render(summary: Summary, console: Console) -> None:
    """Prints the whole summary: verdict, rules, swarm, device matrix, generator health."""
    summary = clean_all(summary)
    console.print(_banner(summary))
    console.print(_rules(summary))
    print_stepped_load(summary, console)
    if summary.swarm.calls or summary.swarm.health.writers:
        console.print(_swarm(summary.swarm))
        print_quality(summary, console)
    if summary.matrix.cells:
        console.print(_matrix(summary.matrix))
        _print_worst_cells(summary.matrix.grid, console)
    if summary.swarm.health.writers:
        console.print(_health(summary))


def _section(title: str, *parts: RenderableType) -> Group:
    heading = Line(f"[bold]{title}[/]", align="left", style="dim", characters="─")
    return Group(heading, *(Padding(part, (0, 0, 0, 1)) for part in parts), "")


def _banner(summary: Summary) -> RenderableType:
    style = STYLES[summary.verdict]
    facts = []
    if summary.swarm.calls:
        facts.append(f"{counted(summary.swarm.calls, 'call')}, {grouped(summary.swarm.peak_concurrent)} at once")
    if summary.matrix.cells:
        facts.append(f"{counted(summary.matrix.devices, 'device')} in {counted(summary.matrix.cells, 'cell')}")
    if summary.duration_s is not None:
        facts.append(clock(summary.duration_s))
    heading = Text.assemble((f"{MARKS[summary.verdict]} {summary.verdict}", style), f"  {SENTENCES[summary.verdict]}")
    lines: list[RenderableType] = [heading, Text(" · ".join(facts), style="dim")]
    if summary.reasons:
        lines.append("")
        lines.extend(_bullet(reason) for reason in summary.reasons[:REASONS])
        if len(summary.reasons) > REASONS:
            lines.append(Text(f"… and {len(summary.reasons) - REASONS} more; the rules below tell", style="dim"))
    return Panel(Group(*lines), border_style=style.removeprefix("bold "), box=box.HEAVY, padding=(0, 1))


def _bullet(reason: str) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row("•", Text(reason, overflow="fold"))
    return row


def _rules(summary: Summary) -> RenderableType:
    table = _table("", "rule", "measured", "bounds", "wanted", "n", right=("measured", "bounds", "wanted", "n"))
    for rule in summary.rules_of(RuleKind.SLO):
        table.add_row(*_rule_row(rule))
    checks = summary.rules_of(RuleKind.TRUST, RuleKind.EVIDENCE)
    broken = [check for check in checks if check.verdict is not Verdict.PASS]
    told = f"harness: {len(checks) - len(broken)} of {len(checks)} checks hold"
    if broken:
        told += "; broken: " + ", ".join(check.name for check in broken)
    return _section("rules", table, "", Text(told, style="dim" if not broken else STYLES[Verdict.INVALID]))


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
    table = _table("tier", "calls", "completed", "setup p50", "p95", "one-way p95", "MOS", right=True)
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
        + (f"; people: {people}" if people else ""),
        f"at most {grouped(swarm.peak_concurrent)} with media at once{held}",
    ]
    if swarm.messages.get("sent"):
        sent, failed = int(swarm.messages["sent"] or 0), int(swarm.messages["failed"] or 0)
        ack = figure(swarm.messages["ack_ms_p95"], "ms")
        lines.append(f"{counted(sent, 'message')}, {grouped(failed)} failed, 95 % acknowledged within {ack}")
    if swarm.lists.get("opened"):
        opened, failed = int(swarm.lists["opened"] or 0), int(swarm.lists["failed"] or 0)
        there = figure(swarm.lists["ms_p95"], "ms")
        heavy = (
            f", of heavy pasts within {figure(swarm.lists['heavy_ms_p95'], 'ms')}"
            if swarm.lists["heavy_opened"]
            else ""
        )
        lines.append(f"{counted(opened, 'list page')}, {grouped(failed)} failed, 95 % there within {there}{heavy}")
    parts: list[RenderableType] = [Text(line) for line in lines]
    return _section("swarm", *parts, "", table, *_failures(swarm))


def _failures(swarm: SwarmFigures) -> list[RenderableType]:
    if not swarm.failures:
        return []
    table = _table("failed because", "blame", "calls", "for example", right=("calls",))
    for group in swarm.failures[:6]:
        example = Text(next(iter(group.examples), ""), "dim")
        table.add_row(Text(group.reason), Text(group.blame), grouped(group.calls), example)
    told: list[RenderableType] = ["", table]
    told += [Text(line, style="yellow") for line in outlier_lines(swarm)]
    return told


def outlier_lines(figures: SwarmFigures | MatrixFigures) -> list[str]:
    """One sentence for each group that stands out."""
    return [
        f"{group.by} {group.name} stands out: {group.failed} of {group.n} failed, elsewhere {group.others_failed} of "
        f"{group.others_n}"
        for group in figures.outliers
    ]


def retry_lines(matrix: MatrixFigures) -> list[str]:
    """One sentence for each cell that was judged in the end, after attempts that the environment spoiled."""
    lines = []
    for cell in matrix.grid:
        spoiled = [seen for seen in cell.attempts_seen if seen.status == CellStatus.ENVIRONMENT_ERROR]
        if spoiled and cell.status != CellStatus.ENVIRONMENT_ERROR:
            told = "; ".join(f"attempt {seen.attempt} [{seen.reason}] {seen.detail}".strip() for seen in spoiled)
            lines.append(f"{cell.cell} {cell.status} after {counted(len(spoiled), 'environment error')}: {told}")
    return lines[:RETRIES] + ([f"… and {len(lines) - RETRIES} more cells tried again"] if len(lines) > RETRIES else [])


def _matrix(matrix: MatrixFigures) -> RenderableType:
    told = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in matrix.by_status.items())
    heading = f"{counted(matrix.devices, 'device')}, {counted(matrix.networks, 'network')}, "
    heading += f"{counted(matrix.cells, 'cell')}: {told}"
    parts: list[RenderableType] = [Text(heading), "", _grid(matrix), "", _legend()]
    parts += [Text(line, style="yellow") for line in outlier_lines(matrix)]
    parts += [Text(line, style="magenta") for line in retry_lines(matrix)]
    return _section("device matrix", *parts)


def _grid(matrix: MatrixFigures) -> Table:
    networks = sorted({(cell.generation, cell.network) for cell in matrix.grid})
    table = _table("device", *(network for _generation, network in networks))
    for column in table.columns[1:]:
        column.justify = "center"
    devices: dict[str, list[GridCell]] = {}
    for cell in matrix.grid:
        devices.setdefault(cell.device, []).append(cell)
    for cells in devices.values():
        label = " (emulated)" if cells[0].emulated else ""
        row: list[RenderableType] = [Text.assemble(cells[0].device_title, (label, "dim"))]
        for _generation, network in networks:
            row.append(Text(" ").join(_mark(cell) for cell in cells if cell.network == network))
        table.add_row(*row)
    return table


def _mark(cell: GridCell) -> Text:
    mark, style = CELL_MARKS[cell.status]
    return Text(mark + (f"x{cell.attempts}" if cell.attempts > 1 else ""), style=style)


def _legend() -> Text:
    parts = [
        Text(f"{mark} {status.replace('_', ' ')}", style=style)
        for status, (mark, style) in CELL_MARKS.items()
    ]  # fmt: skip
    return Text("   ").join([*parts, Text("x2 attempts", style="dim")])


def _print_worst_cells(grid: list[GridCell], console: Console) -> None:
    order = ("failed", "missing", "environment_error")
    worst = sorted((cell for cell in grid if cell.status in order), key=lambda cell: order.index(cell.status))
    for cell in worst[:WORST_CELLS]:
        mark, style = CELL_MARKS[cell.status]
        blame = f", blame {cell.blame}" if cell.blame else ""
        console.print(Text.assemble(" ", (f"{mark} {cell.cell}", style), f"  {cell.reason}{blame}"))
        if cell.detail:
            console.print(Padding(Text(cell.detail), (0, 0, 0, 3)))
        if cell.replay:
            # Never broken by us, so that it can be copied whole.
            console.print(Text(f"   $ {cell.replay}", style="cyan"), soft_wrap=True)
        console.print()
    if len(worst) > WORST_CELLS:
        console.print(Text(f" … and {len(worst) - WORST_CELLS} more, in report.html\n", style="dim"))


def _health(summary: Summary) -> RenderableType:
    table = _table("writer", "role", "CPU mean", "max", "sent late p99", "late s", "lost", right=True)
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
    told = f"{grouped(health.starts_dropped)} of {counted(health.starts_planned, 'planned start')} dropped, "
    told += f"{counted(health.lost_halves, 'half call', 'half calls')} lost, "
    told += f"{counted(health.segments_read, 'segment')} read, {len(health.segments_unreadable)} unreadable"
    return _section("generator", table, Text(told, style="dim"))


def _table(*columns: str, right: bool | tuple[str, ...] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1))
    for name in columns:
        to_right = right is True or (isinstance(right, tuple) and name in right)
        justify: JustifyMethod = "right" if to_right else "left"
        table.add_column(Text(name), justify=justify, no_wrap=name not in {"rule", "failed because"})
    return table

"""Prints the section on a knee search or a rollout."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.render.stepped_load_view import stepped_load_view
from reports.render.terminal_layout import heading
from reports.render.verdict_words import STYLES
from reports.result.summary import Summary, Verdict


def print_stepped_load(summary: Summary, console: Console) -> None:
    """Prints the steps and the result; nothing for a run without steps."""
    view = stepped_load_view(summary)
    if view is None:
        return
    console.print(heading(view.title.lower()))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1))
    for name in ("step", "calls at once", "verdict", "calls", "completed", "set-ups/s", "duration"):
        table.add_column(name, justify="left" if name in ("step", "verdict", "duration") else "right", no_wrap=True)
    for row in view.rows:
        mark = Text(row.verdict, STYLES[Verdict(row.verdict)])
        table.add_row(Text(row.name), row.level, mark, row.calls, row.completed, row.setups, row.held)
    for name in view.ahead:
        table.add_row(Text(name, "dim"), "", Text("not reached", "dim"))
    console.print(Padding(table, (0, 0, 1, 1)))
    console.print(Padding(Text(view.sentence), (0, 0, 0, 1)))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for name, text in view.facts:
        facts.add_row(Text(name), Text(text))
    console.print(Padding(facts, (1, 0, 1, 1)))

"""The terminal's section on a load that was judged step by step."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule as Line
from rich.table import Table
from rich.text import Text

from reports.render.stepped_load_view import stepped_load_view
from reports.result.summary import Summary

STYLES = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow", "INVALID": "magenta"}


def print_stepped_load(summary: Summary, console: Console) -> None:
    """Prints the steps and what they came to; nothing for a run without steps."""
    view = stepped_load_view(summary)
    if view is None:
        return
    console.print(Line(f"[bold]{view.title.lower()}[/]", align="left", style="dim", characters="─"))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1))
    for name in ("step", "calls at once", "verdict", "judged", "completed", "set-ups/s", "held"):
        table.add_column(name, justify="left" if name in ("step", "verdict", "held") else "right", no_wrap=True)
    for row in view.rows:
        mark = Text(row.verdict, STYLES[row.verdict])
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

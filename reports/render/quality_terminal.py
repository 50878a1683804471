"""Prints the section on audio quality and set-up time."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.render.quality_view import quality_tables
from reports.render.terminal_layout import heading
from reports.result.summary import Summary


def print_quality(summary: Summary, console: Console) -> None:
    """Prints the tables with at least one row; nothing for a run without a swarm."""
    tables = quality_tables(summary)
    if not tables:
        return
    console.print(heading("quality"))
    for shown in tables:
        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1),
            title=Text(shown.title), title_justify="left", title_style="bold",
        )  # fmt: skip
        for place, name in enumerate(shown.columns):
            table.add_column(Text(name), justify="right" if place else "left", no_wrap=True)
        for row in shown.rows:
            table.add_row(*map(Text, row))
        console.print(Padding(table, (0, 0, 0, 1)))
        console.print(Padding(Text(shown.note, style="dim"), (0, 0, 1, 1)))

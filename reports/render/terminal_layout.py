"""The layout that every section of the terminal shares: a heading with a line, and plain tables."""

from __future__ import annotations

from rich import box
from rich.console import Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.rule import Rule as Line
from rich.table import Table
from rich.text import Text


def heading(title: str) -> Line:
    """Returns the line above a section, with its title."""
    return Line(f"[bold]{title}[/]", align="left", style="dim", characters="─")


def section(title: str, *parts: RenderableType) -> Group:
    """Returns a section: its heading, its parts, an empty line."""
    return Group(heading(title), *(Padding(part, (0, 0, 0, 1)) for part in parts), "")


def plain_table(*columns: str, right: bool | tuple[str, ...] = ()) -> Table:
    """Returns a table without borders; ``right`` names the columns that are aligned to the right, or all of them."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1))
    for name in columns:
        to_right = right is True or (isinstance(right, tuple) and name in right)
        justify: JustifyMethod = "right" if to_right else "left"
        table.add_column(Text(name), justify=justify, no_wrap=name not in {"rule", "failure reason"})
    return table

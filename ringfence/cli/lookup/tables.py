"""Prints the tables and facts of ``list`` and ``show``, and finds what a name stands for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bedrock.errors import InputError
from bedrock.foreign_text import clean
from bedrock.toml_input import unknown_name

EntryT = TypeVar("EntryT")


def entry_named(name: str, known: Mapping[str, EntryT], what: str) -> EntryT:
    """Returns the entry of that name. Raises InputError with the nearest known name."""
    if name not in known:
        raise InputError([unknown_name("command line", "NAME", what, name, known)])
    return known[name]


def print_list(columns: Sequence[str], rows: Iterable[Sequence[str]], *, uncut: int = 1) -> None:
    """Prints one line or more for each row. The first ``uncut`` columns are never cut or wrapped: one types them."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place < uncut, overflow="fold", style="bold" if place == 0 else "")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    Console(highlight=False).print(table)


def print_facts(title: str, facts: Iterable[tuple[str, str]]) -> None:
    """Prints a title and one line or more for each fact; facts without a value are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value:
            table.add_row(name, Text(clean(value)))
    console = Console(highlight=False)
    if title:
        console.print(Text(clean(title), "bold"))
    console.print(table)


def print_paragraph(text: str, *, indent: int) -> None:
    """Prints text with every line ``indent`` columns from the left, also where it is wrapped."""
    Console(highlight=False).print(Padding(Text(clean(text)), (0, 0, 0, indent)))


def print_note(sentence: str) -> None:
    """Prints one dim sentence below a table."""
    Console(highlight=False).print(Text(clean(sentence), "dim"))


def short_path(path: str | Path) -> str:
    """Returns a path from the working directory where it lies below, else the whole path."""
    with contextlib.suppress(ValueError):
        return str(Path(path).absolute().relative_to(Path.cwd()))
    return str(path)


def duration(seconds: float) -> str:
    """Returns a length of time as people say it: ``45 s``, ``7 min``, ``4 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

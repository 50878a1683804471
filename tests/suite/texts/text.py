"""One text that a person reads, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FIELD = "{}"
"""Stands for a value that is filled in later: an f-string's field, a template's expression. It counts as one word."""


def is_name(value: str) -> bool:
    """Says whether a string is a name of the program's own, such as a column or a key, and not a word for people."""
    return value.isidentifier() and value.islower()


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, a table cell, a comment or a message."""

    path: Path
    line: int
    value: str
    prose: bool = True
    """Whether the limit on the length of sentences holds: not for a query, a pattern or a piece of code."""
    follows_lines: bool = True
    """Whether a line break in ``value`` is one in the file, so that a sentence's own line can be told."""

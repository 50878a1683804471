"""Joins comments on neighbouring lines into paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from texts.text import Text

DIRECTIVE = re.compile(
    r"\s*(noqa|type:|mypy:|ruff:|pragma|pylint|eslint|fmt:|!|-\*-|SPDX|@ts-|language=|global |exported )"
)
"""A comment for a tool, not for a reader."""
LIST_ITEM = re.compile(r"\s*([-*•]|\d+[.)])\s+")
DRAWN = re.compile(r"\s*[|`+├└│]?--|\s*[|├└│]|.*\S {2,}\S")
"""A line of a tree or of a table drawn with spaces: a text of its own, not the next line of a paragraph."""


def paragraphs(path: Path, comments: Iterable[tuple[int, int, str]]) -> list[Text]:
    """Returns the paragraphs of comments, given as line, column and text without its mark."""
    found: list[Text] = []
    gathered: list[str] = []
    begun, last_line, last_column, drawn = 0, -2, -1, False

    def close() -> None:
        if gathered:
            found.append(Text(path, begun, "\n".join(gathered)))
            gathered.clear()

    for line, column, comment in comments:
        after_drawn, drawn = drawn, DRAWN.match(comment) is not None
        if DIRECTIVE.match(comment) or not comment.strip():
            close()
            continue
        if line != last_line + 1 or column != last_column or LIST_ITEM.match(comment) or drawn or after_drawn:
            close()
        if not gathered:
            begun = line
        gathered.append(comment.strip())
        last_line, last_column = line, column
    close()
    return found

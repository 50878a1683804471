"""Reads comments and sentences of TOML files: plans, profiles and objectives are read by people, too."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from texts.comments import paragraphs
from texts.python import is_prose
from texts.text import Text

COMMENT = re.compile(r"^(?P<before>(?:[^\"'#\n]|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')*)#(?P<comment>.*)$", re.MULTILINE)


def toml_texts(path: Path) -> list[Text]:
    """Returns the texts of one file. A sentence's line is where its first words stand."""
    source = path.read_text(encoding="utf-8")
    comments = (
        (1 + source[: match.start()].count("\n"), len(match["before"]), match["comment"])
        for match in COMMENT.finditer(source)
    )
    found = paragraphs(path, comments)
    for value in _strings(tomllib.loads(source)):
        place = source.find(value.splitlines()[0][:40]) if value.strip() else -1
        line = 1 + source[:place].count("\n") if place >= 0 else 1
        found += [
            Text(path, line, part.strip(), is_prose(part), follows_lines=False)
            for part in value.splitlines()
            if part.strip()
        ]
    return sorted(found, key=lambda text: text.line)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)

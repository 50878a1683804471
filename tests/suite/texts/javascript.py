"""Reads comments and string literals of JavaScript (and comments of CSS)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from texts.comments import paragraphs
from texts.python import is_prose
from texts.text import FIELD, Text, is_name

TOKEN = re.compile(
    r"""(?P<block>/\*.*?\*/)
      | (?P<line>//[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<template>`(?:[^`\\]|\\.)*`)
      | (?P<pattern>(?<=[=(,:\[!&|?{};])\s*/(?![/*])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*)""",
    re.VERBOSE | re.DOTALL,
)
FIELD_OF_TEMPLATE = re.compile(r"\$\{(?:[^{}]|\{[^{}]*\})*\}")
STAR = re.compile(r"^\s*\*? ?")


def javascript_texts(path: Path) -> list[Text]:
    """Returns the texts of one JavaScript file."""
    return texts_of_script(path, path.read_text(encoding="utf-8"), 1)


def css_texts(path: Path) -> list[Text]:
    """Returns the comments of one style sheet."""
    source = path.read_text(encoding="utf-8")
    return [
        text
        for match in re.finditer(r"/\*.*?\*/", source, re.DOTALL)
        for text in paragraphs(path, _block_lines(match[0], 1 + source[: match.start()].count("\n")))
    ]


def texts_of_script(path: Path, source: str, first_line: int) -> list[Text]:
    """Returns the texts of a script that begins at ``first_line`` of its file."""
    found: list[Text] = []
    comments: list[tuple[int, int, str]] = []
    for match in TOKEN.finditer(source):
        line = first_line + source[: match.start()].count("\n")
        column = match.start() - (source.rfind("\n", 0, match.start()) + 1)
        if match["block"]:
            found += paragraphs(path, _block_lines(match["block"], line))
        elif match["line"]:
            comments.append((line, column, match["line"].removeprefix("//")))
        elif match["string"] or match["template"]:
            value = FIELD_OF_TEMPLATE.sub(FIELD, match[0][1:-1])
            found += [
                Text(path, line, part.strip(), is_prose(part), follows_lines=False)
                for part in re.split(r"\n|\\n", re.sub(r"\\(['\"`])", r"\1", value))
                if part.strip() and not is_name(part.strip())
            ]
    return sorted([*found, *paragraphs(path, comments)], key=lambda text: text.line)


def _block_lines(block: str, line: int) -> Iterator[tuple[int, int, str]]:
    for offset, text in enumerate(block[2:-2].split("\n")):
        yield line + offset, 0, STAR.sub("", text, count=1)

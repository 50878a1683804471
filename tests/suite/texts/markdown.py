"""Reads paragraphs, list items, headings and table cells of Markdown; code blocks are left out."""

from __future__ import annotations

import re
from pathlib import Path

from markdown_it import MarkdownIt

from texts.text import Text

IMAGE_OR_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


def markdown_texts(path: Path, newest_part_only: bool = False) -> list[Text]:
    """Returns the texts of one file, or (a changelog) of its newest part: all before the second ``##`` heading."""
    found: list[Text] = []
    line, parts = 1, 0
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8")):
        if token.map:
            line = token.map[0] + 1
        if newest_part_only and token.type == "heading_open" and token.tag == "h2":
            parts += 1
            if parts > 1:
                break
        if token.type == "inline" and token.content.strip():
            found.append(Text(path, line, IMAGE_OR_LINK.sub(r"\1", token.content)))
    return found

"""Reads the texts of HTML pages and templates: between tags, and in attributes that are shown."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from texts.javascript import texts_of_script
from texts.text import FIELD, Text

SHOWN_ATTRIBUTES = frozenset({"title", "alt", "placeholder", "aria-label", "aria-description", "content", "label"})
INSIDE_A_SENTENCE = frozenset(
    {"a", "abbr", "b", "bdi", "code", "em", "i", "kbd", "mark", "small", "span", "strong", "sub", "sup", "time"}
)
TEMPLATE_VALUE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
TEMPLATE_STATEMENT = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def html_texts(path: Path) -> list[Text]:
    """Returns the texts of one page, those of its scripts among them."""
    source = path.read_text(encoding="utf-8")
    source = TEMPLATE_VALUE.sub(lambda match: FIELD + "\n" * match[0].count("\n"), source)
    source = TEMPLATE_STATEMENT.sub(lambda match: " " + "\n" * match[0].count("\n"), source)
    page = _Page(path)
    page.feed(source)
    page.close()
    return page.texts


class _Page(HTMLParser):
    """Gathers a page's texts; a tag that does not stand inside a sentence ends the text before it."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[Text] = []
        self._path = path
        self._gathered: list[str] = []
        self._begun = 1
        self._raw = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in INSIDE_A_SENTENCE:
            self._end_text()
        if tag in {"script", "style"}:
            self._raw = tag
        for name, value in attrs:
            if name in SHOWN_ATTRIBUTES and value and value.strip():
                self.texts.append(Text(self._path, self.getpos()[0], value.strip(), follows_lines=False))

    def handle_endtag(self, tag: str) -> None:
        if tag not in INSIDE_A_SENTENCE:
            self._end_text()
        if tag == self._raw:
            self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw == "script":
            self.texts += texts_of_script(self._path, data, self.getpos()[0])
        if self._raw:
            return
        if not self._gathered and data.strip():
            self._begun = self.getpos()[0] + data[: len(data) - len(data.lstrip())].count("\n")
            data = data.lstrip()
        if self._gathered or data.strip():
            self._gathered.append(data)

    def close(self) -> None:
        super().close()
        self._end_text()

    def _end_text(self) -> None:
        if self._gathered:
            self.texts.append(Text(self._path, self._begun, "".join(self._gathered).rstrip()))
            self._gathered = []

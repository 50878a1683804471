"""Reads docstrings, comments and messages of Python files."""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from texts.comments import DRAWN, LIST_ITEM, paragraphs
from texts.text import FIELD, Text, is_name

SHORTEST_PROSE_WORDS = 4
LEAST_SHARE_OF_PLAIN_WORDS = 0.7
CODE = re.compile(
    r"\b(SELECT|FROM|WHERE|JOIN|GROUP BY|ORDER BY|PARTITION BY|CREATE TABLE|INSERT INTO)\b"
    r"|</?[a-z][a-z0-9]*[\s>/]|=>|\bfunction\b.*\{|\bawait\b.*\(|;\s*$|\$\{|\(\?[:P=!<]"
)
PLAIN_WORD = re.compile(r"[\"'(\[“‘]*([A-Za-z][A-Za-z'’/-]*|\d[\d.,]*|\{\}|[%&·=-])[\"')\],.:;!?”’]*")  # noqa: RUF001
MAKES_HEADINGS = re.compile(r"table|column|heading|title", re.IGNORECASE)
INDENTED = 2
"""From how many columns on a docstring's line is a block of its own, and not the paragraph's next line."""


def python_texts(path: Path, with_messages: bool = True) -> list[Text]:
    """Returns the texts of one file; of a test, whose strings are its material, without messages."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    docstrings = {id(node): node for node in _docstrings(tree)}
    found = [text for node in docstrings.values() for text in _docstring_texts(path, node)]
    found += paragraphs(path, _comments(source))
    if with_messages:
        found += _messages(path, tree, set(docstrings))
    return sorted(found, key=lambda text: text.line)


def is_prose(value: str) -> bool:
    """Says whether a string is a sentence for people: most of its words are plain words, and it is no code."""
    words = value.split()
    if len(words) < SHORTEST_PROSE_WORDS or CODE.search(value):
        return False
    return sum(PLAIN_WORD.fullmatch(word) is not None for word in words) >= LEAST_SHARE_OF_PLAIN_WORDS * len(words)


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yields every string that stands alone as a statement: docstrings, and those below an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def _docstring_texts(path: Path, node: ast.Constant) -> Iterator[Text]:
    """Splits a docstring at blank lines, list items and deeper lines; leaves literal blocks (after ``::``) out."""
    assert isinstance(node.value, str)
    gathered: list[str] = []
    begun, literal = 0, False
    # `cleandoc` drops empty lines at the start, which would shift every line after them.
    dropped = len(node.value) - len(node.value.lstrip())
    first_line = node.lineno + node.value[:dropped].count("\n")
    for offset, line in enumerate([*inspect.cleandoc(node.value).split("\n"), ""]):
        text = line.strip()
        deeper = len(line) - len(line.lstrip()) >= INDENTED
        literal = literal and (deeper or not text)
        starts_anew = not text or literal or _is_own_line(text) or (deeper and not _inside_item(gathered))
        starts_anew = starts_anew or (bool(gathered) and DRAWN.match(gathered[-1]) is not None)
        if starts_anew and gathered:
            literal = literal or gathered[-1].endswith("::")
            yield Text(path, first_line + begun, "\n".join(gathered))
            gathered = []
        if text and not (literal and deeper) and not text.startswith(">>>"):
            if not gathered:
                begun = offset
            gathered.append(text)


def _is_own_line(text: str) -> bool:
    return LIST_ITEM.match(text) is not None or DRAWN.match(text) is not None


def _inside_item(gathered: list[str]) -> bool:
    return bool(gathered) and LIST_ITEM.match(gathered[0]) is not None


def _comments(source: str) -> Iterator[tuple[int, int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.start[1], token.string.removeprefix("#").removeprefix(":")


def _messages(path: Path, tree: ast.Module, docstrings: set[int]) -> Iterator[Text]:
    """Yields the strings that are no docstrings, one for each line of a message; joined strings count as one."""
    inner: set[int] = set()
    shown = {id(argument) for node in ast.walk(tree) if _shows(node) for argument in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if id(node) in docstrings or id(node) in inner:
            continue
        value = _string(node)
        if value is None:
            continue
        inner.update(id(child) for child in ast.walk(node) if _string(child) is not None)
        for line in value.splitlines():
            if line.strip() and (id(node) in shown or not is_name(line.strip())):
                yield Text(path, node.lineno, line.strip(), is_prose(line), follows_lines=False)  # type: ignore[attr-defined]


def _shows(node: ast.AST) -> bool:
    """Says whether a call makes headings: of a table by its name, such as ``_table`` or ``add_column``."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return MAKES_HEADINGS.search(name) is not None


def _string(node: ast.AST) -> str | None:
    """Returns a string expression's value with a mark for each field, or None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_string(part) or FIELD for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _string(node.left), _string(node.right)
        if left is None and right is None:
            return None
        return (FIELD if left is None else left) + (FIELD if right is None else right)
    return None

"""Refuses phrases that puzzle a reader, and sentences that are too long, in every text of the repository.

The phrases stand in ``words.toml`` beside this file, each with the plain wording to use instead. Texts are: Markdown,
docstrings, comments and messages of Python, pages and their scripts, and TOML files. Each finding names its file and
line, the sentence, and what to do. The exit code is 0 without findings, else 1.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from texts.javascript import css_texts, javascript_texts
from texts.markdown import markdown_texts
from texts.pages import html_texts
from texts.python import python_texts
from texts.text import FIELD, Text
from texts.toml_files import toml_texts

PROJECT = Path(__file__).resolve().parent.parent.parent
RULES = Path(__file__).with_name("words.toml")
OTHERS_FOLDERS = frozenset({"node_modules", "runs", "build", "dist", "__pycache__"})
READERS: dict[str, Callable[[Path], list[Text]]] = {
    ".py": python_texts,
    ".html": html_texts,
    ".js": javascript_texts,
    ".cjs": javascript_texts,
    ".css": css_texts,
    ".toml": toml_texts,
}

CODE = re.compile(r"`+[^`]*`+")
EMPHASIS = re.compile(r"(?<!\w)[*_]{1,2}(?=\S)|(?<=\S)[*_]{1,2}(?!\w)")
ABBREVIATION = re.compile(r"(?:\b(?i:e\.g|i\.e|etc|vs|cf|approx|resp|incl)|\b[A-Z])\.$")
ABBREVIATION_OF_A_NUMBER = re.compile(r"\b(?i:no|fig)\.$")
END_OF_SENTENCE = re.compile(r"[.!?][\"'”’)\]`*_]*(?=\s)")  # noqa: RUF001
NUMBER_OR_FIELD = r"(?:[\d.,]+|\{\}|[A-Za-z])"


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase that is refused."""

    pattern: re.Pattern[str]
    instead: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What ``words.toml`` says."""

    phrases: tuple[Phrase, ...]
    longest_sentence_words: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence to mend."""

    path: Path
    line: int
    sentence: str
    advice: str


def read_rules(path: Path = RULES) -> Rules:
    """Reads the phrases and the limit."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    phrases = [
        Phrase(_pattern(words, entry.get("whole", False)), entry["instead"])
        for entry in table["phrase"]
        for words in entry["find"]
    ]
    return Rules(tuple(phrases), table["longest_sentence_words"])


def _pattern(words: str, whole: bool) -> re.Pattern[str]:
    body = r"\s+".join(re.escape(word).replace(r"\#", NUMBER_OR_FIELD) for word in words.split())
    body = body.replace("'", "['’]")  # noqa: RUF001
    return re.compile(rf"^[\s*_]*{body}[\s*_:.]*$" if whole else rf"(?<!\w){body}(?!\w)", re.IGNORECASE)


def findings_of(text: Text, rules: Rules) -> Iterator[Finding]:
    """Yields what is to be mended in one text."""
    for start, sentence in sentences(text.value):
        line = text.line + (text.value[:start].count("\n") if text.follows_lines else 0)
        plain = EMPHASIS.sub("", sentence)
        shown = " ".join(sentence.split())
        for instead in dict.fromkeys(phrase.instead for phrase in rules.phrases if phrase.pattern.search(plain)):
            yield Finding(text.path, line, shown, f"write instead: {instead}")
        words, limit = count_words(sentence), rules.longest_sentence_words
        if text.prose and words > limit:
            advice = f"{words} words (allowed {limit}): make two sentences or a list of it"
            yield Finding(text.path, line, shown, advice)


def sentences(value: str) -> Iterator[tuple[int, str]]:
    """Yields the sentences of a text, each with the place where it begins."""
    hidden = CODE.sub(lambda match: re.sub(r"\S", "x", match[0]), value)
    start = 0
    for end in END_OF_SENTENCE.finditer(hidden):
        before = hidden[start : end.start() + 1]
        after = hidden[end.end() :].lstrip()
        if ABBREVIATION.search(before) or (before.endswith("..") and after[:1].islower()):
            continue
        if ABBREVIATION_OF_A_NUMBER.search(before) and after[:1].isdigit():
            continue
        yield start, value[start : end.end()]
        start = end.end() + len(hidden[end.end() :]) - len(after)
    if value[start:].strip():
        yield start, value[start:]


def count_words(sentence: str) -> int:
    """Counts words: code between backticks is one, and a lone sign is none."""
    words = CODE.sub("code", sentence).replace(FIELD, "field").split()
    return sum(any(letter.isalnum() for letter in word) for word in words)


def files_of(project: Path) -> Iterator[Path]:
    """Yields the files whose texts are read."""
    for path in sorted(project.rglob("*")):
        folders = path.relative_to(project).parts[:-1]
        if any(folder.startswith(".") or folder in OTHERS_FOLDERS for folder in folders):
            continue
        if path != RULES and path.name != "pyproject.toml" and path.suffix in {*READERS, ".md"} and path.is_file():
            yield path


def texts_of(path: Path, project: Path) -> list[Text]:
    """Reads one file's texts."""
    if path.suffix == ".md":
        return markdown_texts(path, newest_part_only=path.name == "CHANGELOG.md")
    if path.suffix == ".py" and path.relative_to(project).parts[0] == "tests":
        return python_texts(path, with_messages=False)
    return READERS[path.suffix](path)


def check(project: Path, rules: Rules, only: Sequence[Path] = ()) -> list[Finding]:
    """Returns the findings of the whole tree, or of the files that are named."""
    wanted = {path.resolve() for path in only}
    return [
        finding
        for path in files_of(project)
        if not wanted or path.resolve() in wanted
        for text in texts_of(path, project)
        for finding in findings_of(text, rules)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints every finding; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="the files to read; without any, the whole repository")
    options = parser.parse_args(arguments)
    found = check(PROJECT, read_rules(), options.files)
    for finding in found:
        print(f"{finding.path.relative_to(PROJECT)}:{finding.line}: {finding.sentence}\n    {finding.advice}")
    if found:
        print(f"\nwords: {len(found)} sentences to mend. The rules stand in tests/suite/words.toml.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

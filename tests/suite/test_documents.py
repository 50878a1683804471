"""The documents name files, commands and keys that exist: a page that sends its reader nowhere fails here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from ringfence.cli.app import app

PROJECT = Path(__file__).resolve().parent.parent.parent
PAGES = [PROJECT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "deploy/README.md")] + sorted(
    (PROJECT / "docs").glob("*.md")
)
FOLDERS = (
    "bedrock", "calls", "deploy", "device_matrix", "docs", "loadtests", "network_profiles", "reference_service",
    "reports", "ringfence", "tests",
)  # fmt: skip
OF_THE_READER = re.compile(r"\bmy_|\bmine\b|my-|<|\*|…|\.\.\.")
"""Files that a walk has its reader make are named ``my_…``; ``<cell>`` and ``*`` stand for many."""


def ids(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(PROJECT)) for page in pages]


every_page = pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))


def without_blocks(text: str) -> str:
    """The prose: fenced blocks are left out."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[str]:
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        if match[1] in ("", "sh", "console"):
            yield match[2]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    missing = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert missing == []


@every_page
def test_every_path_of_the_repository_exists(page: Path) -> None:
    missing = []
    for code in re.findall(r"`([^`\n]+)`", without_blocks(page.read_text())):
        path = code.split("::")[0].rstrip("/")
        looks_like_one = "/" in code and " " not in code and code.split("/")[0] in FOLDERS
        if looks_like_one and not OF_THE_READER.search(code) and not (PROJECT / path).exists():
            missing.append(code)
    assert missing == []


def commands_of(page: Path) -> list[str]:
    found = []
    for block in blocks(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
            if command.startswith("ringfence "):
                found.append(command)
    in_sentences = re.findall(r"`(ringfence [^`\n]+)`", without_blocks(page.read_text()))
    return found + [command for command in in_sentences if "|" not in command]


COMMANDS = [(page, command) for page in PAGES for command in commands_of(page)]


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page.name}: {command}" for page, command in COMMANDS])
def test_every_command_is_understood(page: Path, command: str) -> None:
    words = shlex.split(command, comments=True)[1:]
    for end in (";", "|", "&&", ">"):
        words = words[: words.index(end)] if end in words else words
    try:
        app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        pytest.fail(f"{page.name}: {command}: {error}")


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) > 20

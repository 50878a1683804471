"""Builds the root command from the table in ``commands.py``. A command is imported only when it is used."""

from __future__ import annotations

from collections.abc import Iterable

from cyclopts import App

from ringfence import __version__
from ringfence.cli.commands import CHAPTERS, COMMANDS, GROUPS, CliCommand, commands_in, sentence_of

_INTRODUCTION = """Will calls still work, for everybody, after this release?

ringfence loads a calling service with a swarm of synthetic callers. At the same
time it places real calls from 24+ device profiles over shaped 2G/3G/4G links.
It gives one verdict: PASS, FAIL, INCONCLUSIVE or INVALID."""
_ENDING = """Start here:
  ringfence doctor
  ringfence run --plan smoke        then open runs/latest/report.html
  ringfence COMMAND --help          every command shows an example

Exit codes: 0 PASS, 1 FAIL, 2 wrong usage or configuration, 3 INCONCLUSIVE,
4 INVALID, 5 a prerequisite is missing (run `ringfence doctor`),
70 ringfence itself crashed (no verdict), 130 interrupted."""


def build_app() -> App:
    """Returns the root command with every command and group of the table."""
    chapters = [
        f"{title}\n{_listing((name, sentence_of(name)) for name in names)}" for title, names in CHAPTERS.items()
    ]
    introduction = "\n\n".join([_INTRODUCTION, *chapters, _ENDING])
    root = App(name="ringfence", version=__version__, help=introduction, help_format="plaintext")
    groups = {name: _group(name) for name in GROUPS}
    for group in groups.values():
        root.command(group)
    for command in COMMANDS:
        group_name, _, name = command.words.rpartition(" ")
        _add(groups[group_name] if group_name else root, name, command)
    return root


def _group(name: str) -> App:
    held = commands_in(name)
    listing = _listing((command.words.removeprefix(f"{name} "), command.sentence) for command in held)
    return App(
        name=name, show=False, help=f"{GROUPS[name]}\n\nCommands:\n{listing}", help_format="plaintext",
        help_epilogue=_example(*(command.example for command in held)),
    )  # fmt: skip


def _add(parent: App, name: str, command: CliCommand) -> None:
    # cyclopts lists no sentence of a function that it has not imported, so the listing is our own text.
    parent.command(command.function, name=name, show=False, help_epilogue=_example(command.example))


def _listing(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"  {name:10} {sentence}" for name, sentence in rows)


def _example(*commands: str) -> str:
    title = "Example:" if len(commands) == 1 else "Examples:"
    return "\n".join([title, *(f"  {command}" for command in commands)])


app = build_app()

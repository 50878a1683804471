from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from synthetic_run_folder import healthy

from bedrock.exit_codes import ExitCode
from ringfence.__main__ import run_command
from ringfence.cli.app import app
from ringfence.cli.commands import CHAPTERS, COMMANDS, GROUPS, CliCommand, sentence_of

QUICK = [command for command in COMMANDS if command.is_quick]
BY_WORDS = {command.words: command for command in COMMANDS}
ANSWERS = {
    "gate": frozenset({ExitCode.PASS, ExitCode.FAIL, ExitCode.INCONCLUSIVE, ExitCode.INVALID}),
    "doctor": frozenset({ExitCode.PASS, ExitCode.ENVIRONMENT}),
}
"""Commands whose exit code is an answer. Every other one ends with 0."""


def words_of(example: str) -> list[str]:
    program, *words = shlex.split(example)
    assert program == "ringfence"
    return words


@pytest.fixture(scope="module")
def folder_with_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    healthy(seed=1, calls=60, messages=40, lists=40, devices=2).write(folder / "runs" / "before")
    healthy(seed=2, calls=60, messages=40, lists=40, devices=2).write(folder / "runs" / "2026-11-21T020000-smoke")
    (folder / "runs" / "latest").symlink_to("2026-11-21T020000-smoke")
    for run in ("before", "latest"):
        assert run_command(["report", str(folder / "runs" / run)]) == ExitCode.PASS
    return folder


@pytest.mark.parametrize("command", QUICK, ids=lambda command: command.words)
def test_a_quick_example_runs(command: CliCommand, folder_with_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder_with_runs)
    code = run_command(words_of(command.example))
    assert code in ANSWERS.get(command.words, {ExitCode.PASS})


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_every_example_is_of_its_own_command_and_is_read_without_an_error(command: CliCommand) -> None:
    words = words_of(command.example)
    assert words[: len(command.words.split())] == command.words.split()
    function, _, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    module, _, name = command.function.partition(":")
    assert (function.__module__, function.__name__) == (module, name)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_the_help_of_every_command_has_a_sentence_and_its_example(
    command: CliCommand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run_command([*command.words.split(), "--help"]) == ExitCode.PASS
    shown = capsys.readouterr().out
    _, _, text = shown.partition("\n\n")
    assert text.partition("\n")[0].rstrip(".").count(" ") >= 2, "the help begins with a sentence"
    assert f"  {command.example}\n" in shown


@pytest.mark.parametrize("columns", [80, 120])
def test_lists_of_commands_fit_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    run_command(["--help"])
    shown = capsys.readouterr().out
    for name in (name for names in CHAPTERS.values() for name in names):
        assert f"  {name:10} {sentence_of(name)}\n" in shown
    for group in GROUPS:
        run_command([group])
        shown = capsys.readouterr().out
        for command in COMMANDS:
            if command.words.startswith(f"{group} "):
                assert f"  {command.words.partition(' ')[2]:10} {command.sentence}\n" in shown


def test_every_command_stands_in_one_chapter_of_the_help() -> None:
    first_words = {command.words.partition(" ")[0] for command in COMMANDS}
    listed = [name for names in CHAPTERS.values() for name in names]
    assert sorted(listed) == sorted(first_words)

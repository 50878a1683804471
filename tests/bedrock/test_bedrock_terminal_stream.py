"""A reader that leaves, a terminal that hangs up, one that knows only ASCII: the exit code stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SPEAKS = """
import sys
from bedrock.terminal_stream import tolerate_closed_output
tolerate_closed_output()
for _ in range(20_000):
    print("the verdict, in a line of its own \\u2714", file={stream})
sys.{name}.flush()
sys.exit(3)
"""


def speak(name: str, **streams: object) -> subprocess.Popen[bytes]:
    script = SPEAKS.format(stream=f"sys.{name}", name=name)
    return subprocess.Popen([sys.executable, "-c", script], cwd=PROJECT, **streams)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(("name", "other"), [("stdout", "stderr"), ("stderr", "stdout")])
def test_a_pipe_whose_reader_has_gone_changes_no_exit_code(name: str, other: str) -> None:
    speaker = speak(name, **{name: subprocess.PIPE, other: subprocess.PIPE})
    read, heard = getattr(speaker, name), getattr(speaker, other)
    read.read(1)
    read.close()
    with heard:
        assert heard.read() == b""
    assert speaker.wait() == 3


def test_a_terminal_that_hangs_up_changes_no_exit_code() -> None:
    ours, theirs = os.openpty()
    speaker = speak("stdout", stdout=theirs, stderr=subprocess.PIPE, start_new_session=True)
    os.close(theirs)
    os.read(ours, 1)
    os.close(ours)
    assert speaker.stderr is not None
    with speaker.stderr:
        assert speaker.stderr.read() == b""
    assert speaker.wait() == 3


def test_a_closed_stdout_changes_no_exit_code() -> None:
    script = SPEAKS.format(stream="sys.stdout", name="stdout")
    closed = ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, script]
    ended = subprocess.run(closed, cwd=PROJECT, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (3, b"")


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, ASCII], ids=["encoding", "locale"])
def test_what_a_terminal_cannot_show_is_replaced(env: dict[str, str]) -> None:
    speaker = speak("stdout", stdout=subprocess.PIPE, env={**os.environ, **env})
    shown, _ = speaker.communicate()
    assert speaker.returncode == 3
    assert b"in a line of its own ?\n" in shown

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from waiting import HANG_LIMIT_S, eventually

from bedrock.child_process import spawn
from bedrock.errors import EnvironmentLacks

READY = 'print(\'noise\'); print(\'{"event": "ready", "port": 7}\', flush=True);'
FOREVER = "import sys; sys.stdin.read()"


def test_a_child_says_when_it_is_ready_and_ends_when_told(tmp_path: Path) -> None:
    child = spawn("service", [sys.executable, "-c", READY + FOREVER], pipe_stdout=True, log_path=tmp_path / "log")
    try:
        assert child.wait_ready(HANG_LIMIT_S) == {"event": "ready", "port": 7}
        assert child.is_running()
    finally:
        code = child.stop()
    assert code == -signal.SIGTERM
    assert child.stop() == code


def test_a_child_that_dies_before_it_is_ready_is_told_with_its_last_words(tmp_path: Path) -> None:
    script = "import sys; print('port 80 is taken', file=sys.stderr); sys.exit(5)"
    child = spawn("service", [sys.executable, "-c", script], pipe_stdout=True, log_path=tmp_path / "log")
    try:
        with pytest.raises(EnvironmentLacks, match="service") as caught:
            child.wait_ready(HANG_LIMIT_S)
    finally:
        child.stop()
    assert "port 80 is taken" in caught.value.hint


def test_what_a_child_started_ends_with_it() -> None:
    script = (
        "import subprocess; p = subprocess.Popen(['sleep', 'inf']);print('{\"pid\": %d}' % p.pid, flush=True);"
        + FOREVER
    )
    child = spawn("parent", [sys.executable, "-c", script], pipe_stdout=True)
    grandchild = child.wait_ready(HANG_LIMIT_S)["pid"]
    child.stop()
    assert eventually(lambda: _gone(grandchild))


def test_a_child_does_not_outlive_a_parent_that_is_killed() -> None:
    script = (
        "from bedrock.child_process import spawn; import sys;"
        "child = spawn('sleeper', ['sleep', 'infinity']); print(child.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        sleeper = int(parent.stdout.readline())
        assert psutil.pid_exists(sleeper)
        os.kill(parent.pid, signal.SIGKILL)
    assert eventually(lambda: _gone(sleeper))


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_the_last_words_of_a_child_are_clean_and_the_last_whatever_came_before(tmp_path: Path) -> None:
    script = (
        r"import sys; sys.stderr.write('x' * 200_000 + '\n' + '\x1b[31mred\x1b[0m \x00\n' + 'the reason'); sys.exit(5)"
    )
    child = spawn("service", [sys.executable, "-c", script], pipe_stdout=True, log_path=tmp_path / "log")
    with pytest.raises(EnvironmentLacks) as caught:
        child.wait_ready(10)
    child.stop()
    assert caught.value.hint.endswith("\nred \N{REPLACEMENT CHARACTER}\nthe reason")
    assert len(caught.value.hint) < 5000

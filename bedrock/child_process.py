"""Starts a program that must not outlive us, waits until it is ready, and ends it.

Every child gets a process group of its own and the kernel's parent-death signal (``setpriv`` of util-linux), so that a
``kill -9`` of the parent leaves no orphan. The signal is tied to the *thread* that started the child. Start children
from a thread that lives as long as they should.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from bedrock.child_environment import child_environment
from bedrock.crash import describe_exit, ended_by_crash
from bedrock.errors import ChildCrashed, EnvironmentLacks
from bedrock.foreign_text import LONGEST_TEXT, clean

_IF_PARENT_LIVES = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'
"""The parent may die before its child has asked for the signal. So the child checks its parent once before it
starts."""


class ChildProcess:
    """One running program. ``stop`` is safe to call twice."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log_path: Path | None) -> None:
        self.name = name
        self.popen = popen
        self.log_path = log_path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def is_running(self) -> bool:
        return self.popen.poll() is None

    def wait_ready(self, timeout_s: float) -> dict[str, Any]:
        """Returns the first JSON object that the child prints on stdout.

        Raises EnvironmentLacks when the child ends or stays silent for ``timeout_s``, ChildCrashed when it crashed.
        """
        stdout = self.popen.stdout
        if stdout is None:
            raise ValueError(f"{self.name} was started without a stdout pipe")
        deadline_s = time.monotonic() + timeout_s
        buffered = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while (left_s := deadline_s - time.monotonic()) > 0:
                if not selector.select(left_s):
                    continue
                chunk = os.read(stdout.fileno(), 65536)
                if not chunk:
                    break
                buffered += chunk
                *lines, buffered = buffered.split(b"\n")
                for line in lines:
                    with contextlib.suppress(ValueError):
                        ready = json.loads(line)
                        if isinstance(ready, dict):
                            return ready
        code = self._ended_by(deadline_s)
        ended = describe_exit(code, self.pid) if code is not None else f"was not ready within {timeout_s:.0f} s"
        if code is not None and ended_by_crash(code):
            raise ChildCrashed(f"{self.name} {ended}", hint=self.log_tail())
        raise EnvironmentLacks(f"{self.name} {ended}", hint=self.log_tail())

    def _ended_by(self, deadline_s: float) -> int | None:
        # A closed stdout is seen a moment before the child can be reaped.
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.popen.wait(max(0.0, min(1.0, deadline_s - time.monotonic())))
        return None

    def log_tail(self, lines: int = 8) -> str:
        """Returns the tail of the child's log, for an error message."""
        if self.log_path is None or not self.log_path.exists():
            return ""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LONGEST_TEXT * lines))
                tail = log.read().decode("utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(clean(line, LONGEST_TEXT // lines) for line in tail.splitlines()[-lines:])

    def signal(self, number: signal.Signals) -> None:
        """Sends ``number`` to the child alone."""
        with contextlib.suppress(ProcessLookupError):
            self.popen.send_signal(number)

    def stop(self, timeout_s: float = 5.0) -> int:
        """Asks the child to end (SIGTERM), then kills what is left of its group. Returns its exit code."""
        if self.is_running():
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        code = self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        return code


def spawn(
    name: str,
    argv: Sequence[str],
    *,
    log_path: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pipe_stdout: bool = False,
    death_signal: str = "KILL",
    pass_fds: Sequence[int] = (),
) -> ChildProcess:
    """Starts ``argv`` in a process group of its own; it gets ``death_signal`` when the calling thread dies.

    stderr, and stdout unless ``pipe_stdout``, go to ``log_path``, or are dropped. stdin is a pipe that we keep open, so
    a child can detect our end. ``env`` is added to the clean environment that every child gets. Raises EnvironmentLacks
    when the program does not exist.
    """
    log: IO[bytes] | int = subprocess.DEVNULL
    with contextlib.ExitStack() as stack:
        if log_path is not None:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            log = stack.enter_context(log_path.open("ab"))
        try:
            popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", death_signal, "--", "sh", "-c", _IF_PARENT_LIVES, str(os.getpid()), *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if pipe_stdout else log,
                stderr=log,
                env=child_environment(env),
                cwd=cwd,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        except FileNotFoundError:
            raise EnvironmentLacks("'setpriv' is not on this machine", hint="apt-get install util-linux") from None
    return ChildProcess(name, popen, log_path)

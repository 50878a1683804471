"""Runs one long-lived ``tc -batch`` inside the wire's namespace; that namespace lives as long as this tc.

A new tc for each command would start a process ten times a second where a profile follows a trace. ``-force`` makes tc
go on after a command that the kernel refused. tc names it on stderr, which arrives in order with the answers.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bedrock.child_environment import child_environment

ANSWER_TIMEOUT_S = 10.0
_TABLES_FOLDER = Path(__file__).resolve().parent
_LAST_QUERY = "qdisc show dev lo"
"""tc answers it with a line of JSON. By then it has run all commands before it."""
_START = (
    "for scope in all default; do switch=/proc/sys/net/ipv6/conf/$scope/disable_ipv6; "
    "[ ! -e $switch ] || echo 1 > $switch; done; "
    "ip link add mid0 type veth peer name mid1 && exec tc -s -j -force -batch -"
)


class Tc:
    """The tc process, in its own network namespace. It ends with us, because its stdin closes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=child_environment({"TC_LIB_DIR": str(_TABLES_FOLDER)}),
        )
        self._buffered = b""
        self.run_commands([])

    @property
    def pid(self) -> int:
        """The tc process, which is inside the wire."""
        return self._process.pid

    def fileno(self) -> int:
        """Descriptor of its output: readable when it has answered or has ended."""
        stdout = self._process.stdout
        return -1 if stdout is None else stdout.fileno()

    def run_commands(self, commands: Sequence[str]) -> None:
        """Runs all commands in order and waits until they are done. Raises OSError with what was refused and why."""
        self.query([*commands, _LAST_QUERY])

    def query(self, commands: Sequence[str]) -> list[Any]:
        """Returns the answer to the last of ``commands``, a query. The others must print nothing."""
        self._write(commands)
        refusals = []
        while not (line := self._read_line()).startswith("["):
            if not line.startswith("Command failed"):  # the line before it says why
                refusals.append(line)
        if refusals:
            raise OSError(f"tc: {'; '.join(refusals)}")
        answer = json.loads(line)
        return answer if isinstance(answer, list) else []

    def _write(self, commands: Sequence[str]) -> None:
        stdin = self._process.stdin
        if stdin is None:
            raise OSError("tc was started without a pipe")
        stdin.write("".join(f"{command}\n" for command in commands).encode())
        stdin.flush()

    def _read_line(self) -> str:
        stdout = self._process.stdout
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while stdout is not None and b"\n" not in self._buffered:
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline_s - time.monotonic()))
            chunk = os.read(stdout.fileno(), 65536) if ready else b""
            if not chunk:
                said = self._buffered.decode(errors="replace")
                raise OSError(f"tc {'does not answer' if self._process.poll() is None else 'has ended'} {said}".strip())
            self._buffered += chunk
        line, _, self._buffered = self._buffered.partition(b"\n")
        return line.decode(errors="replace").strip()

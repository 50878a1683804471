"""Runs the daemon of either backend: start, commands on stdin, end.

SETTINGS is JSON: ``device``, ``host_address``, ``device_address``, ``seed``, ``profile`` (a PlainProfile). The first
line on stdout is ``{"event": "ready"}`` or ``{"event": "error", "what": …, "errno": …}``. The daemon answers each JSON
line on stdin by one on stdout. The commands:

- ``{"do": "counters"}``
- ``{"do": "set_profile", "profile": …}``
- ``{"do": "hold"}``: the link keeps the state at the start of its timeline.
- ``{"do": "restart"}``: the timeline starts now; ``at_s`` of the answer is that monotonic time.

The daemon ends when stdin closes.

Only the standard library is imported: a matrix runs dozens of these.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

from bedrock.exit_codes import ExitCode
from network_profiles.links import interfaces
from network_profiles.model import plain_profile
from network_profiles.model.plain_profile import PlainProfile

INNER_DEVICE = "link0"
"""The link's device in the namespace behind it."""


class Daemon(Protocol):
    """A running link."""

    def counters(self) -> dict[str, Any]:
        """Returns the fields of ``DirectionCounters`` for each side."""

    def set_profile(self, profile: PlainProfile) -> None:
        """Changes the link to ``profile``; its timeline starts now."""

    def hold(self) -> None:
        """Holds the link in the state at the start of its timeline."""

    def restart(self) -> float:
        """Restarts the timeline now. Returns the monotonic time of the start."""

    def run(self, command_reader: CommandReader) -> None:
        """Carries packets until stdin closes."""


class CommandReader:
    """Reads commands from stdin and answers them on stdout."""

    def __init__(self) -> None:
        self.descriptor = sys.stdin.fileno()
        self._half_line = b""

    def handle_pending(self, daemon: Daemon) -> bool:
        """Runs and answers the commands that have arrived; returns False when stdin has closed."""
        chunk = os.read(self.descriptor, 65536)
        *lines, self._half_line = (self._half_line + chunk).split(b"\n")
        for line in lines:
            write_line(_execute(json.loads(line), daemon))
        return bool(chunk)


def _execute(command: dict[str, Any], daemon: Daemon) -> dict[str, Any]:
    match command["do"]:
        case "counters":
            return daemon.counters()
        case "set_profile":
            daemon.set_profile(plain_profile.from_json(command["profile"]))
        case "hold":
            daemon.hold()
        case "restart":
            return {"at_s": daemon.restart()}
    return {}


def serve(build: Callable[[], Daemon]) -> int:
    """Builds the link, reports it ready, and runs it until stdin closes. Returns the exit code."""
    try:
        daemon = build()
    except OSError as error:
        write_line({"event": "error", "what": str(error), "errno": error.errno})
        return ExitCode.ENVIRONMENT
    _raise_priority()
    write_line({"event": "ready"})
    with contextlib.suppress(BrokenPipeError):
        daemon.run(CommandReader())
    return 0


def write_line(answer: dict[str, Any]) -> None:
    """Prints one line of JSON for the link's owner."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _raise_priority() -> None:
    """Raises this process above others, so that packets leave on time on a busy machine."""
    interfaces.minimise_timer_slack()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    gc.disable()  # the daemon creates no reference cycles

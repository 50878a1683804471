"""What the daemons of both backends have in common: how one comes up, what it is told, and how it ends.

SETTINGS is JSON: ``device``, ``host_address``, ``device_address``, ``seed``, ``profile`` (a PlainProfile). The first
line on stdout is ``{"event": "ready"}`` or ``{"event": "error", "what": …, "errno": …}``. Then each JSON line on stdin
is answered by one on stdout: ``{"do": "counters"}``, ``{"do": "set_profile", "profile": …}``, ``{"do": "hold"}`` (the
link stays as it is at the start of its timeline), ``{"do": "restart"}`` (the timeline begins now, at the monotonic
``at_s`` of the answer). The end of stdin is the end of the daemon.

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
from network_profiles.model.plain_profile import PlainProfile, Side

INNER_DEVICE = "link0"
"""The link's device in the namespace behind it."""
SIDES: tuple[Side, Side] = ("down", "up")


class Daemon(Protocol):
    """A link that runs."""

    def counters(self) -> dict[str, Any]:
        """Returns what a ``DirectionCounters`` is made of, for each side."""

    def set_profile(self, profile: PlainProfile) -> None:
        """Becomes another link, its timeline beginning now."""

    def hold(self) -> None:
        """Stays as the link is at the start of its timeline."""

    def restart(self) -> float:
        """Begins the timeline again. Returns the monotonic moment that it begins at."""

    def run(self, orders: Orders) -> None:
        """Carries on until the orders end."""


class Orders:
    """What comes in on stdin, and its answers."""

    def __init__(self) -> None:
        self.descriptor = sys.stdin.fileno()
        self._half_line = b""

    def obey(self, daemon: Daemon) -> bool:
        """Reads what there is, does it, answers each line; returns False at the end of the orders."""
        chunk = os.read(self.descriptor, 65536)
        *lines, self._half_line = (self._half_line + chunk).split(b"\n")
        for line in lines:
            say(_do(json.loads(line), daemon))
        return bool(chunk)


def _do(order: dict[str, Any], daemon: Daemon) -> dict[str, Any]:
    match order["do"]:
        case "counters":
            return daemon.counters()
        case "set_profile":
            daemon.set_profile(plain_profile.from_json(order["profile"]))
        case "hold":
            daemon.hold()
        case "restart":
            return {"at_s": daemon.restart()}
    return {}


def serve(build: Callable[[], Daemon]) -> int:
    """Builds the link, says so, and runs it to the end of its orders. Returns the exit code."""
    try:
        daemon = build()
    except OSError as error:
        say({"event": "error", "what": str(error), "errno": error.errno})
        return ExitCode.ENVIRONMENT
    _be_prompt()
    say({"event": "ready"})
    with contextlib.suppress(BrokenPipeError):
        daemon.run(Orders())
    return 0


def say(answer: dict[str, Any]) -> None:
    """Prints one line of JSON for whoever holds the link."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _be_prompt() -> None:
    """What is due on a link is due at its time, whatever else the machine does."""
    interfaces.wake_precisely()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    gc.disable()  # nothing here makes cycles

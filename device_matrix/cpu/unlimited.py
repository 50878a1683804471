"""A browser's processes where no control group can hold them: without root, a device has all of this machine's CPU."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from network_profiles import ShapedLink
from network_profiles.links.namespace_processes import processes_in_namespace

NICENESS = 10
NICE_PREFIX = ("sh", "-c", f'echo {NICENESS} 2>/dev/null >/proc/self/autogroup; exec nice -n {NICENESS} "$@"', "sh")
"""Before a browser's command, makes its threads weigh a tenth of anything else's: without root, no link has a real-time
rank. Linux may weigh sessions before it weighs what is in them; a browser is a session of its own, or its driver's."""


@dataclass(frozen=True, slots=True)
class NoCpuGroup:
    """Stands where a control group stands: it counts and kills, and has nothing to limit with."""

    pids: Callable[[], list[int]]
    """Finds what runs of the browser now."""

    @property
    def join_paths(self) -> list[Path]:
        return []

    def limit(self, cores: float | None) -> None:
        """Has nothing to limit with."""

    def used_s(self) -> float:
        """Returns the CPU seconds of what still runs."""
        spent_s = 0.0
        for pid in self.pids():
            with suppress(psutil.Error):
                times = psutil.Process(pid).cpu_times()
                spent_s += times.user + times.system
        return spent_s

    def throttled_s(self) -> float:
        return 0.0

    def kill(self) -> None:
        """Kills the browser."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def release(self) -> None:
        self.kill()


def pids_behind_link(link: ShapedLink) -> Callable[[], list[int]]:
    """Finds whatever runs behind ``link``, its own daemon apart."""
    return lambda: [pid for pid in processes_in_namespace(link.namespace) if pid != link.pid]


def pids_of_browser(work_folder: Path) -> Callable[[], list[int]]:
    """Finds the processes of the browser whose profile is in ``work_folder``: its root, and all that it started."""

    def find() -> list[int]:
        found: set[int] = set()
        for process in psutil.process_iter(["cmdline"]):
            if any(str(work_folder) in word for word in process.info["cmdline"] or ()):
                with suppress(psutil.Error):
                    found |= {process.pid, *(child.pid for child in process.children(recursive=True))}
        return sorted(found - {os.getpid()})

    return find

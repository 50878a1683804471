"""Finds and kills a browser's processes where there is no control group, and so no CPU limit: without root."""

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
"""The argv prefix that gives a browser's threads a tenth of the CPU weight of others: without root, no link has
real-time priority. Linux may weigh whole sessions (autogroup), so the prefix lowers the browser's session, too."""


@dataclass(frozen=True, slots=True)
class NoCpuGroup:
    """Has the interface of a control group without one: it counts CPU time and kills, but cannot limit."""

    pids: Callable[[], list[int]]
    """Finds the browser's running processes."""

    @property
    def join_paths(self) -> list[Path]:
        return []

    def limit(self, cores: float | None) -> None:
        """Does nothing: there is no limit without a control group."""

    def used_s(self) -> float:
        """Returns the CPU seconds of the processes that still run."""
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
    """Returns a function that finds the processes behind ``link``, except the link's own daemon."""
    return lambda: [pid for pid in processes_in_namespace(link.namespace) if pid != link.pid]


def pids_of_browser(work_folder: Path) -> Callable[[], list[int]]:
    """Returns a function that finds the browser with its profile in ``work_folder``, and all its children."""

    def find() -> list[int]:
        found: set[int] = set()
        for process in psutil.process_iter(["cmdline"]):
            if any(str(work_folder) in word for word in process.info["cmdline"] or ()):
                with suppress(psutil.Error):
                    found |= {process.pid, *(child.pid for child in process.children(recursive=True))}
        return sorted(found - {os.getpid()})

    return find

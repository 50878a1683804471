"""A small swarm run as a child process, for tests that do it harm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from growing_file import whole_lines
from waiting import HANG_LIMIT_S, eventually

PLAN = """
name = "small"
seed = 3
slo = "SLO"
max_duration_s = 3600
[swarm]
workers = 2
people = 24
spawn_rate_per_s = 30
mix = "emerging_smoke"
talk_s = { median = 6, sigma = 0.2, min = 4, max = 8 }
messages_per_person_per_min = 4
probe_calls = 0
drain_s = 12
stages = [{ name = "peak", duration_s = PEAK, concurrent_calls = 6 }]
"""


@dataclass
class SmallRun:
    """``ringfence swarm`` on the small plan, which has no probes unless a test is about them."""

    popen: subprocess.Popen[str]
    runs: Path

    @property
    def folder(self) -> Path:
        return (self.runs / "latest").resolve()

    def last_second(self) -> dict[str, Any]:
        lines = whole_lines(self.folder / "live" / "swarm.jsonl")
        return lines[-1] if lines else {}

    def wait_for_calls(self, at_least: int = 2) -> None:
        self.wait_until(lambda: self.last_second().get("calls_active", 0) >= at_least, f"{at_least} calls")

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        assert eventually(lambda: holds() or self.popen.poll() is not None), f"no {what}: {self.last_second()}"
        assert holds(), f"the run ended while waiting for {what}:\n{self.popen.communicate()[0]}"

    def children(self, *words: str) -> list[psutil.Process]:
        """The processes of this run whose command line holds every word."""
        found = []
        for process in psutil.Process(self.popen.pid).children(recursive=True):
            try:
                line = " ".join(process.cmdline())
            except psutil.NoSuchProcess:
                continue
            if all(word in line for word in words) and "setpriv" not in line.split(" ")[0]:
                found.append(process)
        return found

    def ended(self) -> tuple[int, dict[str, Any]]:
        """Exit code and summary.json, once the run is over."""
        output, _ = self.popen.communicate(timeout=HANG_LIMIT_S)
        summary = self.folder / "summary.json"
        assert summary.exists(), output
        return self.popen.returncode, json.loads(summary.read_text())


@contextmanager
def small_run(
    tmp_path: Path,
    *overrides: str,
    peak_s: int = 12,
    slo: str = "smoke",
    program: Sequence[str] = ("-m", "ringfence"),
    before: Sequence[str] = (),
    terminal: int | None = None,
) -> Iterator[SmallRun]:
    """Starts the run, judged by ``slo`` (a name or a path); makes sure at the end that nothing of it is left.

    ``program`` is what Python runs, ``before`` the command that runs Python. ``terminal`` becomes the run's own.
    """
    plan = tmp_path / "small.toml"
    plan.write_text(PLAN.replace("PEAK", str(peak_s)).replace("SLO", slo))
    argv = [*before, sys.executable, *program, "swarm", "--plan", str(plan), "--runs", str(tmp_path / "runs")]
    for override in overrides:
        argv += ["--set", override]
    if terminal is None:
        popen = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
    else:
        # setsid(1) makes the terminal on stdin the controlling one: its end is then the session's SIGHUP.
        popen = subprocess.Popen(
            ["setsid", "--ctty", "--", *argv], stdin=terminal, stdout=terminal, stderr=terminal, text=True
        )
    run = SmallRun(popen, tmp_path / "runs")
    try:
        eventually(lambda: (run.runs / "latest").exists() or popen.poll() is not None)
        yield run
    finally:
        if popen.poll() is None:
            popen.send_signal(signal.SIGINT)
            try:
                popen.communicate(timeout=HANG_LIMIT_S)
            except subprocess.TimeoutExpired:
                popen.kill()
        if popen.stdout is not None:
            popen.stdout.close()
        popen.wait()


def processes_of(folder: Path) -> list[str]:
    """Command lines, anywhere on this machine, that name the run's folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line and process.pid != os.getpid() and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


def nothing_left(folder: Path) -> bool:
    """Whether every process of the run is gone in the end."""
    return eventually(lambda: not processes_of(folder))

"""Runs a real swarm for the tests: Locust master and workers as processes, against the real service and engines."""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import psutil
from growing_file import whole_lines
from waiting import HANG_LIMIT_S, eventually

PROJECT = Path(__file__).parent.parent.parent
PLAN = """
name = "test"
seed = 11
[swarm]
workers = 2
people = {people}
spawn_rate_per_s = 60
mix = "{mix}"
talk_s = {{ median = 2, sigma = 0.2, min = 1, max = 3 }}
messages_per_person_per_min = 20
visits_per_person_per_min = {visits}
heavy_tails = {{ missed_calls = {missed_calls}, threads = {threads} }}
probe_calls = {probes}
drain_s = 25
[[swarm.stages]]
name = "ramp"
duration_s = 1
concurrent_calls = {calls}
[[swarm.stages]]
name = "hold"
duration_s = {hold_s}
concurrent_calls = {calls}
"""


def write_plan(
    folder: Path,
    *,
    people: int = 40,
    calls: int = 6,
    probes: int = 0,
    hold_s: float = 0,
    visits: float = 1,
    pasts: tuple[int, int] = (0, 0),
) -> Path:
    """Writes a small plan; ``hold_s`` 0 stands for until told to end, ``pasts`` for missed calls and threads."""
    path = folder / "plan.toml"
    path.write_text(
        PLAN.format(
            people=people, calls=calls, probes=probes, hold_s=hold_s, mix="good_networks", visits=visits,
            missed_calls=pasts[0], threads=pasts[1],
        )
    )  # fmt: skip
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Swarm:
    """The processes of one swarm, and its run folder."""

    folder: Path
    run: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self, *arguments: str, env: dict[str, str] | None = None, enter: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Starts Locust with our locustfile; ``enter`` is the command that runs it somewhere else."""
        locustfile = str(PROJECT / "loadtests" / "locustfile.py")
        # Whether every call of a small run on a busy machine works is not what these tests are about.
        lenient = () if "--exit-code-on-error" in arguments else ("--exit-code-on-error", "0")
        command = [*enter, sys.executable, "-m", "locust", "-f", locustfile, *lenient, *arguments]
        return self.start_command(command, env=env)

    def start_command(
        self, command: Sequence[str], *, env: dict[str, str] | None = None, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts anything that has to be gone when the test is over."""
        log = (self.folder / f"locust-{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log, start_new_session=True,
                cwd=self.folder, env={**os.environ, **(env or {})},
            )  # fmt: skip
        self.processes.append(process)
        return process

    def start_distributed(self, plan: Path, workers: int = 2) -> None:
        port = str(free_port())
        self.start(
            "--master", "--headless", "--only-summary", "--expect-workers", str(workers), "--master-bind-port", port,
            "--plan", str(plan), "--run-folder", str(self.run),
        )  # fmt: skip
        for _ in range(workers):
            self.start("--worker", "--master-port", port)

    @property
    def master(self) -> subprocess.Popen[bytes]:
        return self.processes[0]

    def log(self, index: int = 0) -> str:
        return (self.folder / f"locust-{index}.log").read_text()

    def seconds(self) -> list[dict[str, Any]]:
        return whole_lines(self.run / "live" / "swarm.jsonl")

    def wait_for(self, condition: Callable[[dict[str, Any]], bool], *, after: int = 0) -> dict[str, Any]:
        """Returns the first second of the live file, from line ``after`` on, for which ``condition`` holds."""
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            is_over = self.master.poll() is not None  # asked first: what was written before the end is still read
            found.extend(second for second in self.seconds()[after:] if condition(second))
            return bool(found) or is_over

        eventually(seen)
        if not found:
            raise AssertionError(f"never seen in the live file; last: {self.seconds()[-1:]}\n{self.log()[-3000:]}")
        return found[0]

    def wait(self) -> int:
        """Returns how the master ended."""
        return self.master.wait(HANG_LIMIT_S)

    def faults(self) -> list[dict[str, Any]]:
        return whole_lines(self.run / "faults.jsonl")

    def legs(self) -> list[dict[str, Any]]:
        return self.records("calls")

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Returns the rows of one folder of the run."""
        if not list((self.run / kind).glob("*.parquet")):
            return []
        query = f"select * from read_parquet('{self.run}/{kind}/*.parquet')"
        with duckdb.connect() as connection:
            table = connection.sql(query)
            return [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]

    def statistics(self, csv_prefix: Path, kind: str) -> dict[str, dict[str, str]]:
        """Returns Locust's own statistics of one request type, by name."""
        with csv_prefix.with_name(csv_prefix.name + "_stats.csv").open() as file:
            return {row["Name"]: row for row in csv.DictReader(file) if row["Type"] == kind}

    def engine_of(self, worker: subprocess.Popen[bytes]) -> psutil.Process:
        return self.child_of(worker, "calls.engine")

    def child_of(self, parent: subprocess.Popen[bytes], module: str) -> psutil.Process:
        for child in psutil.Process(parent.pid).children(recursive=True):
            if module in child.cmdline():
                return child
        raise AssertionError(f"no {module} was started")


@contextlib.contextmanager
def swarm_in(folder: Path) -> Iterator[Swarm]:
    """A swarm whose processes are gone afterwards, whatever happened."""
    swarm = Swarm(folder, folder / "run")
    try:
        yield swarm
    finally:
        for process in swarm.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(HANG_LIMIT_S)

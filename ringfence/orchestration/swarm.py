"""Starts the swarm: one Locust master and its workers, all on loopback."""

from __future__ import annotations

import importlib.util
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bedrock.child_process import ChildProcess, spawn
from calls.targets.admin_api import TOKEN_VARIABLE
from calls.targets.running_target import RunningTarget
from loadtests.records.fault_log import PIPE
from loadtests.records.machine import WORKER_NUMBER
from ringfence.orchestration.fault_pipe import FaultPipe
from ringfence.orchestration.run_folder import RunFolderWriter


@dataclass(slots=True)
class SwarmProcesses:
    """A Locust master and its workers."""

    master: ChildProcess
    faults: FaultPipe
    workers: list[ChildProcess] = field(default_factory=list)

    def all(self) -> list[ChildProcess]:
        """Returns the master first, then the workers."""
        return [self.master, *self.workers]


def start_swarm(workers: int, target: RunningTarget, folder: RunFolderWriter) -> SwarmProcesses:
    """Starts a headless master and ``workers`` worker processes that run the ``[swarm]`` section of the run's plan."""
    port = str(free_port())
    shared = ["--plan", str(folder.plan_file), "--target", target.url, "--run-folder", str(folder.path.absolute())]
    faults = FaultPipe()
    env = {TOKEN_VARIABLE: target.admin_token, PIPE: str(faults.writing_end)}
    logs = folder.path / "logs"
    master = spawn(
        "the Locust master",
        [*locust_command(), "--master", "--headless", "--expect-workers", str(workers),
         "--master-bind-host", "127.0.0.1", "--master-bind-port", port, *shared],
        log_path=logs / "locust-master.log", env=env, death_signal="TERM", pass_fds=[faults.writing_end],
    )  # fmt: skip
    faults.close_writing_end()
    swarm = SwarmProcesses(master, faults)
    for index in range(workers):
        swarm.workers.append(
            spawn(
                f"worker {index}",
                [*locust_command(), "--worker", "--master-host", "127.0.0.1", "--master-port", port, *shared],
                log_path=logs / f"worker-{index}.log", env={WORKER_NUMBER: str(index)}, death_signal="TERM",
            )
        )  # fmt: skip
    return swarm


def locustfile() -> Path:
    """Returns the path of the swarm's locustfile, wherever the package is installed."""
    found = importlib.util.find_spec("loadtests")
    if found is None or found.origin is None:
        raise ImportError("the package 'loadtests' is not installed")
    return Path(found.origin).parent / "locustfile.py"


def free_port() -> int:
    """Returns a TCP port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def locust_command() -> list[str]:
    """Returns how a Locust process of ours is started: without reading Locust's configuration files."""
    return [sys.executable, "-m", "loadtests.locust_process", "-f", str(locustfile())]

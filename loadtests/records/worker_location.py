"""Where one worker writes its records and from where its calls send: settled before its engine starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedrock.errors import EnvironmentLacks
from bedrock.scratch import ScratchFolder
from loadtests.records.machine import LOOPBACK, is_loopback, media_address, network_id
from loadtests.records.receive import has_mark
from loadtests.wire.run_spec import SwarmJob


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's place in the run."""

    records: Path
    """The run folder itself, or one of the worker's own whose files are shipped to the master."""
    media_address: str = LOOPBACK
    is_remote: bool = False
    """Whether the records have to be shipped."""


def find_place(job: SwarmJob, slot: int, wanted_address: str, wanted_folder: str) -> Place:
    """Returns where this worker writes and sends.

    ``wanted_folder`` is where a worker without the master's disk keeps its records until the master has them; empty for
    a temporary one. Raises EnvironmentLacks when the target cannot be reached from here.
    """
    if is_loopback(job.target_url) and network_id() != job.network:
        raise EnvironmentLacks(
            f"the target {job.target_url} is on the master's loopback, which this machine cannot reach",
            hint="start the service on an address that every worker reaches, and name it with --target",
        )
    address = media_address(wanted_address, job.target_url)
    if has_mark(job.run_folder, job.disk_mark):
        return Place(job.run_folder, address)
    try:
        if wanted_folder:
            records = Path(wanted_folder).absolute() / job.run_id / f"worker-{slot}"
            records.mkdir(parents=True, exist_ok=True)
        else:
            records = ScratchFolder().path  # ours until the records are with the master, or until this process ends
        (records / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise EnvironmentLacks(f"no folder for this worker's records: {error}") from None
    return Place(records, address, is_remote=True)

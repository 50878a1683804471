"""Where one worker writes its records and from where its calls send: settled before its engine starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedrock.errors import EnvironmentLacks
from bedrock.scratch import ScratchFolder
from loadtests.records.machine import LOOPBACK, is_loopback, media_address, network_id
from loadtests.records.receive import has_mark
from loadtests.wire.run_spec import RunSpec


@dataclass(frozen=True, slots=True)
class WorkerLocation:
    """A worker's location in the run."""

    records: Path
    """The run folder itself, or one of the worker's own whose files are shipped to the master."""
    media_address: str = LOOPBACK
    is_remote: bool = False
    """Whether the records have to be shipped."""


def locate_worker(spec: RunSpec, slot: int, wanted_address: str, wanted_folder: str) -> WorkerLocation:
    """Returns where this worker writes and sends.

    ``wanted_folder`` is where a worker without the master's disk keeps its records until the master has them; empty for
    a temporary one. Raises EnvironmentLacks when the target cannot be reached from here.
    """
    if is_loopback(spec.target_url) and network_id() != spec.network:
        raise EnvironmentLacks(
            f"the target {spec.target_url} is on the master's loopback, which this machine cannot reach",
            hint="start the service on an address that every worker reaches, and name it with --target",
        )
    address = media_address(wanted_address, spec.target_url)
    if has_mark(spec.run_folder, spec.disk_mark):
        return WorkerLocation(spec.run_folder, address)
    try:
        if wanted_folder:
            records = Path(wanted_folder).absolute() / spec.run_id / f"worker-{slot}"
            records.mkdir(parents=True, exist_ok=True)
        else:
            records = ScratchFolder().path  # ours until the records are with the master, or until this process ends
        (records / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise EnvironmentLacks(f"no folder for this worker's records: {error}") from None
    return WorkerLocation(records, address, is_remote=True)

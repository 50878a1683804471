"""The run folder of a swarm that was started by Locust alone, so that ``ringfence report`` can read it."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bedrock.errors import EnvironmentLacks, InputError, Problem
from loadtests.plan.swarm_plan import LoadPlan
from loadtests.records.other_runs import other_runs, processes
from reports.run.file_input import Unreadable, decode_json, read_file
from reports.run.manifest import MANIFEST_FILE, end_manifest, new_manifest, save_manifest

WRITTEN_BY = "loadtests"


class SwarmFolder:
    """A run folder: one that ``ringfence run`` made and describes itself, or one of our own."""

    def __init__(self, path: Path, manifest: dict[str, Any], *, is_ours: bool) -> None:
        self.path = path
        self.run_id = str(manifest.get("run_id") or path.name)
        self._manifest = manifest
        self.is_ours = is_ours
        """Whether nobody but us will judge this run."""

    def close(self, ended_at_s: float, *, interrupted: bool, faults: list[dict[str, Any]]) -> str:
        """Writes the end of the run and its faults into the manifest, when the manifest is ours.

        Returns why it could not be written, empty when it was.
        """
        if not self.is_ours:
            return ""
        self._manifest["faults"] = list(faults)
        end_manifest(self._manifest, ended_at_s=ended_at_s, interrupted=interrupted, environment=_environment())
        return save_manifest(self.path, self._manifest)


def default_path(started_at_s: float) -> Path:
    """Returns ``runs/<UTC time>-locust``, or that name and a number when two runs start within a second."""
    stamp = datetime.fromtimestamp(started_at_s, UTC).strftime("%Y-%m-%dT%H%M%S")
    return _unused(Path("runs") / f"{stamp}-locust")


def open_folder(path: Path, plan: LoadPlan, plan_name: str, target_url: str, started_at_s: float) -> SwarmFolder:
    """Returns the folder at ``path``; makes it, with a manifest, where it is new.

    A folder in which a swarm of ours has run already is not written to again: its name gets a number. Raises
    InputError when its manifest cannot be read, EnvironmentLacks when the folder cannot be made.
    """
    manifest_file = path / MANIFEST_FILE
    if manifest_file.exists():
        known = _known(manifest_file)
        if known.get("written_by") != WRITTEN_BY:
            return SwarmFolder(path, known, is_ours=False)
        path = _unused(path)
    manifest = new_manifest(
        run_id=path.name,
        started_at_s=started_at_s,
        plan_name=plan_name,
        plan=plan.model_dump(mode="json"),
        slo={"name": plan.slo, "file": ""},
        seed=plan.seed,
        versions={name: version(name) for name in ("locust", "aiortc", "gevent")},
        git={},
        environment=_environment(),
        target={"kind": "reference", "url": target_url},
        tiers=["packets", *(["media"] if plan.swarm.probe_calls else [])],
        more={"written_by": WRITTEN_BY},
    )
    try:
        for name in ("calls", "messages", "lists", "samples", "health", "live", "logs"):
            (path / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentLacks(f"the run folder {path} cannot be made: {error.strerror}") from None
    if problem := save_manifest(path, manifest):
        raise EnvironmentLacks(problem)
    return SwarmFolder(path, manifest, is_ours=True)


def _known(manifest_file: Path) -> dict[str, Any]:
    try:
        return decode_json(read_file(manifest_file), dict)
    except Unreadable as error:
        hint = "name another folder with --run-folder"
        raise InputError([Problem(str(manifest_file), "", str(error), hint)]) from None


def _unused(path: Path) -> Path:
    candidate, number = path, 2
    while (candidate / MANIFEST_FILE).exists():
        candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
    return candidate


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_1min": os.getloadavg()[0],
        "other_runs": [asdict(run) for run in other_runs(processes(), os.getpid())],
    }

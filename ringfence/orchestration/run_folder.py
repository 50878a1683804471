"""Makes a run folder, and keeps its manifest up to date until the run ends."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w

from bedrock.clock import Clock
from bedrock.errors import EnvironmentLacks
from device_matrix.network.link_choice import chosen_backend
from network_profiles.links.rootless import network_scope
from reports.run.faults import Severity, make_fault, noted_faults
from reports.run.manifest import add_faults, end_manifest, new_manifest, save_manifest
from ringfence.orchestration.environment import capture_environment, git_state, package_versions
from ringfence.run_plan import RunPlan

SUBFOLDERS = ("calls", "messages", "lists", "samples", "health", "cells", "live", "logs")

RESERVE_FOR_RECORDS, RESERVE_FOR_REPORTS = ".reserve-for-records", ".reserve-for-reports"
RESERVES = {RESERVE_FOR_RECORDS: 1_000_000, RESERVE_FOR_REPORTS: 2_000_000}
"""Bytes reserved at the start, so that a run that fills the disk can still write its last records and reports."""


@dataclass(slots=True)
class RunFolderWriter:
    """Writes one run's folder. Each change of the manifest is written to disk at once."""

    path: Path
    clock: Clock
    manifest: dict[str, Any] = field(default_factory=dict)
    advice: str = ""
    """A sentence about the folder for the user; mostly empty."""
    problem: str = ""
    """Why the manifest was not written the last time, empty when it was."""

    @property
    def run_id(self) -> str:
        """The folder's name: unique on this machine."""
        return self.path.name

    @property
    def plan_file(self) -> Path:
        """The plan as it is run, overrides applied: what every process of the run reads."""
        return self.path / "plan.toml"

    def record_fault(self, what: str, detail: str, severity: Severity) -> None:
        """Notes something that went wrong. ``invalid`` and ``fail`` each decide the verdict; ``note`` does not."""
        self.add_fault(make_fault(at_s=self.clock.unix_s(), what=what, detail=detail, severity=severity))

    def add_fault(self, fault: dict[str, Any]) -> None:
        """Adds a fault to the manifest, once: the pipe and the file may both report it."""
        if add_faults(self.manifest, [fault]):
            self.save()

    def copy_noted_faults(self) -> None:
        """Copies the faults in ``faults.jsonl``, which other processes of the run wrote, into the manifest."""
        add_faults(self.manifest, noted_faults(self.path))
        self.save()

    def finish(self, *, interrupted: bool, other_runs: list[dict[str, Any]]) -> None:
        """Writes the end of the run into the manifest, and which other runs were on the machine meanwhile."""
        add_faults(self.manifest, noted_faults(self.path))
        environment = {**capture_environment(), "other_runs": other_runs}
        end_manifest(self.manifest, ended_at_s=self.clock.unix_s(), interrupted=interrupted, environment=environment)
        self.save()

    def save(self) -> None:
        """Writes ``manifest.json``. A disk that refuses is noted in ``problem``."""
        self.problem = save_manifest(self.path, self.manifest)

    def is_full(self) -> bool:
        """Whether the disk reports no free space. A full quota shows only when something is written."""
        try:
            room = os.statvfs(self.path)
        except OSError:
            return True
        free = room.f_bavail if os.geteuid() else room.f_bfree
        return free == 0 or (room.f_files > 0 and room.f_ffree == 0)

    def release_reserve(self, name: str) -> None:
        """Frees the disk space that was reserved for one part of the end of the run."""
        with contextlib.suppress(OSError):
            (self.path / name).unlink(missing_ok=True)


def create_run_folder(runs: Path, plan: RunPlan, clock: Clock, other_runs: list[dict[str, Any]]) -> RunFolderWriter:
    """Makes ``runs/<UTC time>-<plan name>/`` and points ``runs/latest`` at it.

    Raises EnvironmentLacks when the folder cannot be made.
    """
    started_at_s = clock.unix_s()
    path = _make_folders(runs, plan.settings.name, started_at_s)
    folder = RunFolderWriter(path, clock, _first_manifest(path, plan, started_at_s, other_runs))
    _write_plan_and_reserves(folder, plan)
    folder.save()
    if folder.problem:
        raise EnvironmentLacks(folder.problem)
    folder.advice = point_latest_at(path)
    return folder


def _make_folders(runs: Path, plan_name: str, started_at_s: float) -> Path:
    stamp = datetime.fromtimestamp(started_at_s, UTC).strftime("%Y-%m-%dT%H%M%S")
    path = runs / f"{stamp}-{plan_name}"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path = path.with_name(f"{path.name}-{secrets.token_hex(2)}")
        for name in SUBFOLDERS:
            (path / name).mkdir(parents=True)
    except OSError as error:
        raise EnvironmentLacks(f"the run folder {path} cannot be made: {error.strerror}") from None
    return path


def _first_manifest(path: Path, plan: RunPlan, started_at_s: float, other_runs: list[dict[str, Any]]) -> dict[str, Any]:
    matrix = plan.settings.matrix
    return new_manifest(
        run_id=path.name,
        started_at_s=started_at_s,
        plan_name=plan.settings.name,
        plan=plan.tables,
        slo={"name": plan.slo.name, "file": str(plan.slo.file)},
        seed=plan.settings.seed,
        versions=package_versions(),
        git=git_state(),
        environment={**capture_environment(), "other_runs": other_runs},
        more={"link_backend": None if matrix is None else chosen_backend(matrix.backend), "lab": network_scope()},
    )


def _write_plan_and_reserves(folder: RunFolderWriter, plan: RunPlan) -> None:
    try:
        folder.plan_file.write_bytes(tomli_w.dumps(plan.tables).encode())
        for name, size in RESERVES.items():
            (folder.path / name).write_bytes(bytes(size))
    except OSError as error:
        for name in RESERVES:
            folder.release_reserve(name)
        raise EnvironmentLacks(
            f"the disk of the run folder {folder.path} is full: {error.strerror or error}",
            hint="free some disk space, or name another folder with --runs",
        ) from None


def point_latest_at(run: Path) -> str:
    """Makes ``runs/latest`` lead to ``run``: a link, or a file with the run's name where the file system has no links.

    Returns one sentence when it cannot, else an empty text: a run works without its short name.
    """
    latest = run.parent / "latest"
    if latest.is_dir() and not latest.is_symlink():
        return f"{latest} is a folder, so it keeps its content and does not lead to this run; name {run} instead"
    fresh = run.parent / f".latest-{os.getpid()}"
    try:
        fresh.unlink(missing_ok=True)
        try:
            fresh.symlink_to(run.name)
        except OSError:
            fresh.write_text(f"{run.name}\n", encoding="utf-8")
        fresh.replace(latest)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        return f"{latest} cannot be made to lead to this run ({error.strerror or error}); name {run} instead"
    return ""

"""Makes a run folder and keeps its manifest true from the first second to the last."""

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
from bedrock.foreign_text import clean_all, json_text
from bedrock.whole_file import write_whole
from device_matrix.network.link_choice import chosen_backend
from network_profiles.links.rootless import network_scope
from reports.run.faults import Severity, noted_faults
from ringfence.orchestration.environment import capture_environment, git_state, package_versions
from ringfence.run_plan import Plan

MANIFEST_FORMAT = 1

FOR_RECORDS, FOR_REPORTS = ".reserve-for-records", ".reserve-for-reports"
RESERVES = {FOR_RECORDS: 1_000_000, FOR_REPORTS: 2_000_000}
"""Bytes kept from the first second, so that a run that fills the disk can still write what it knows at its end."""


@dataclass(slots=True)
class RunFolder:
    """One run's folder. Every change of the manifest is written whole, then renamed into place."""

    path: Path
    clock: Clock
    manifest: dict[str, Any] = field(default_factory=dict)
    advice: str = ""
    """What a person should know of the folder, one sentence; mostly empty."""
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
        self.take_fault({"at_s": self.clock.unix_s(), "what": what, "detail": detail, "severity": severity})

    def take_fault(self, fault: dict[str, Any]) -> None:
        """Takes over a fault that another process of the run has told, once."""
        if (fault["what"], fault["at_s"]) not in self._known_faults():
            self.manifest["faults"].append(clean_all(fault))
            self.save()

    def _known_faults(self) -> set[tuple[Any, Any]]:
        return {(fault["what"], fault["at_s"]) for fault in self.manifest["faults"]}

    def absorb_faults(self) -> None:
        """Takes over the faults that other processes of the run wrote down in ``faults.jsonl``."""
        known = self._known_faults()
        self.manifest["faults"] += [
            fault for fault in noted_faults(self.path) if (fault["what"], fault["at_s"]) not in known
        ]
        self.save()

    def finish(self, *, interrupted: bool, other_runs: list[dict[str, Any]]) -> None:
        """Writes the end of the run into the manifest, and which other runs were on the machine meanwhile."""
        self.absorb_faults()
        self.manifest["ended_at_s"] = self.clock.unix_s()
        self.manifest["interrupted"] = interrupted
        self.manifest["environment_after"] = {**capture_environment(), "other_runs": other_runs}
        self.save()

    def save(self) -> None:
        """Writes ``manifest.json`` whole and renames it into place. A disk that refuses is noted in ``problem``."""
        file = self.path / "manifest.json"
        try:
            write_whole(file, json_text(self.manifest, indent=1).encode())
        except OSError as error:
            self.problem = f"{file} cannot be written: {error.strerror or error}"
        else:
            self.problem = ""

    def is_full(self) -> bool:
        """Whether the disk says that it has no room left; a quota shows only when something is written."""
        try:
            room = os.statvfs(self.path)
        except OSError:
            return True
        free = room.f_bavail if os.geteuid() else room.f_bfree
        return free == 0 or (room.f_files > 0 and room.f_ffree == 0)

    def spend_reserve(self, name: str) -> None:
        """Gives back the room that was kept for one part of the end of the run."""
        with contextlib.suppress(OSError):
            (self.path / name).unlink(missing_ok=True)


def create_run_folder(runs: Path, plan: Plan, clock: Clock, other_runs: list[dict[str, Any]]) -> RunFolder:
    """Makes ``runs/<UTC time>-<plan name>/`` and points ``runs/latest`` at it.

    Raises EnvironmentLacks when the folder cannot be made.
    """
    started_at_s = clock.unix_s()
    stamp = datetime.fromtimestamp(started_at_s, UTC).strftime("%Y-%m-%dT%H%M%S")
    path = runs / f"{stamp}-{plan.written.name}"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path = path.with_name(f"{path.name}-{secrets.token_hex(2)}")
        for name in ("calls", "messages", "lists", "samples", "health", "cells", "live", "logs"):
            (path / name).mkdir(parents=True)
    except OSError as error:
        raise EnvironmentLacks(f"the run folder {path} cannot be made: {error.strerror}") from None
    folder = RunFolder(path, clock)
    folder.manifest = {
        "format": MANIFEST_FORMAT,
        "run_id": path.name,
        "started_at_s": started_at_s,
        "ended_at_s": None,
        "plan_name": plan.written.name,
        "plan": plan.tables,
        "slo": {"name": plan.slo.name, "file": str(plan.slo.file)},
        "seeds": {"plan": plan.written.seed},
        "versions": package_versions(),
        "git": git_state(),
        "environment_before": {**capture_environment(), "other_runs": other_runs},
        "environment_after": None,
        "tiers": [],
        "link_backend": None if plan.written.matrix is None else chosen_backend(plan.written.matrix.backend),
        "lab": network_scope(),
        "target": {},
        "faults": [],
        "interrupted": False,
    }
    try:
        folder.plan_file.write_bytes(tomli_w.dumps(plan.tables).encode())
        for name, size in RESERVES.items():
            (path / name).write_bytes(bytes(size))
    except OSError as error:
        for name in RESERVES:
            folder.spend_reserve(name)
        raise EnvironmentLacks(
            f"the run folder {path} has no room: {error.strerror or error}",
            hint="free some, or name another with --runs",
        ) from None
    folder.save()
    if folder.problem:
        raise EnvironmentLacks(folder.problem)
    folder.advice = point_latest_at(path)
    return folder


def point_latest_at(run: Path) -> str:
    """Makes ``runs/latest`` lead to ``run``: a link, or a file with its name where the file system has no links.

    Returns one sentence when it cannot, empty otherwise: a run is no worse for a missing short name.
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

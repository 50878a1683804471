"""Makes a run folder and keeps its manifest true from the first second to the last."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import tomli_w

from bedrock.clock import Clock
from bedrock.errors import EnvironmentLacks
from device_matrix.link_choice import chosen_backend
from network_profiles.rootless import lab
from ringfence.orchestration.environment import capture_environment, git_state, package_versions
from ringfence.plan import Plan

MANIFEST_FORMAT = 1

Severity = Literal["invalid", "fail", "note"]


@dataclass(slots=True)
class RunFolder:
    """One run's folder. Every change of the manifest is written whole, then renamed into place."""

    path: Path
    clock: Clock
    manifest: dict[str, Any] = field(default_factory=dict)

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
        self.manifest["faults"].append(
            {"at_s": self.clock.unix_s(), "what": what, "detail": detail, "severity": severity}
        )
        self.save()

    def absorb_faults(self) -> None:
        """Takes over the faults that other processes of the run wrote down in ``faults.jsonl``."""
        notes = self.path / "faults.jsonl"
        if not notes.exists():
            return
        known = {(fault["what"], fault["at_s"]) for fault in self.manifest["faults"]}
        for line in notes.read_text(errors="replace").splitlines():
            try:
                fault = json.loads(line)
            except ValueError:
                continue
            if (fault.get("what"), fault.get("at_s")) not in known:
                self.manifest["faults"].append(fault)
        self.save()

    def finish(self, *, interrupted: bool, other_runs: list[dict[str, Any]]) -> None:
        """Writes the end of the run into the manifest, and which other runs were on the machine meanwhile."""
        self.absorb_faults()
        self.manifest["ended_at_s"] = self.clock.unix_s()
        self.manifest["interrupted"] = interrupted
        self.manifest["environment_after"] = {**capture_environment(), "other_runs": other_runs}
        self.save()

    def save(self) -> None:
        """Writes ``manifest.json`` whole and renames it into place."""
        partial = self.path / ".manifest.json.partial"
        partial.write_text(json.dumps(self.manifest, indent=1, default=str))
        partial.replace(self.path / "manifest.json")


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
        "lab": lab(),
        "target": {},
        "faults": [],
        "interrupted": False,
    }
    folder.plan_file.write_bytes(tomli_w.dumps(plan.tables).encode())
    folder.save()
    point_latest_at(path)
    return folder


def point_latest_at(run: Path) -> None:
    """Makes ``runs/latest`` a link to ``run``, in one step."""
    link = run.parent / f".latest-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(run.name)
    link.replace(run.parent / "latest")

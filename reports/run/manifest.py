"""Writes ``manifest.json``: the description of a run, true from its first second to its last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bedrock.foreign_text import clean_all, json_text
from bedrock.whole_file import write_whole
from reports.run.faults import Fault

MANIFEST_FILE = "manifest.json"
MANIFEST_FORMAT = 1


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``manifest.json``. Every field has a default, so that an older or half-filled manifest still reads."""

    format: int = MANIFEST_FORMAT
    run_id: str = ""
    started_at_s: float | None = None
    ended_at_s: float | None = None
    plan_name: str = ""
    plan: dict[str, Any] = {}
    slo: dict[str, Any] = {}
    seeds: dict[str, Any] | int | None = None
    versions: dict[str, Any] = {}
    git: Any = None
    environment_before: dict[str, Any] | None = None
    environment_after: dict[str, Any] | None = None
    tiers: list[str] = []
    target: dict[str, Any] = {}
    faults: list[Fault] = []
    interrupted: bool = False

    def plans(self, part: str) -> bool:
        """Whether the plan of the run holds the part ``swarm`` or ``matrix``."""
        return bool(self.plan.get(part))


def new_manifest(
    *,
    run_id: str,
    started_at_s: float,
    plan_name: str,
    plan: Mapping[str, Any],
    slo: Mapping[str, Any],
    seed: int,
    versions: Mapping[str, str],
    git: Mapping[str, str],
    environment: Mapping[str, Any],
    target: Mapping[str, Any] | None = None,
    tiers: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the manifest of a run that begins now. ``more`` holds the keys that only its writer knows."""
    return {
        "format": MANIFEST_FORMAT,
        "run_id": run_id,
        "started_at_s": started_at_s,
        "ended_at_s": None,
        "plan_name": plan_name,
        "plan": dict(plan),
        "slo": dict(slo),
        "seeds": {"plan": seed},
        "versions": dict(versions),
        "git": dict(git),
        "environment_before": dict(environment),
        "environment_after": None,
        "tiers": list(tiers),
        "target": dict(target or {}),
        "faults": [],
        "interrupted": False,
        **(more or {}),
    }


def add_faults(manifest: dict[str, Any], faults: Sequence[Mapping[str, Any]]) -> int:
    """Adds the faults that ``manifest`` does not hold yet. Returns how many were new."""
    known = {(fault["what"], fault["at_s"]) for fault in manifest["faults"]}
    fresh = [clean_all(dict(fault)) for fault in faults if (fault["what"], fault["at_s"]) not in known]
    manifest["faults"] += fresh
    return len(fresh)


def end_manifest(
    manifest: dict[str, Any], *, ended_at_s: float, interrupted: bool, environment: Mapping[str, Any]
) -> None:
    """Notes the end of the run: when, whether somebody stopped it, and the state of the machine after it."""
    manifest["ended_at_s"] = ended_at_s
    manifest["interrupted"] = interrupted
    manifest["environment_after"] = dict(environment)


def save_manifest(run_folder: Path, manifest: Mapping[str, Any]) -> str:
    """Writes ``manifest.json`` whole and renames it into place.

    Returns an empty text. When the disk refuses, returns the sentence that says so: a run goes on without its manifest.
    """
    file = run_folder / MANIFEST_FILE
    try:
        write_whole(file, json_text(manifest, indent=1).encode())
    except OSError as error:
        return f"{file} cannot be written: {error.strerror or error}"
    return ""

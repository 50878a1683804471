"""Opens a run folder: finds it, checks its format, reads its manifest. Damage becomes a reason, never a traceback."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from reports.errors import NewerFormat, RunFolderMissing

MANIFEST_FORMAT = 1


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the supervisor of a run saw happen to one of its processes, or to the service under test."""

    at_s: float
    what: str
    detail: str = ""
    severity: str = "note"
    """``fail`` (the product broke), ``invalid`` (the harness broke) or ``note``."""


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


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder that exists, however little is in it."""

    path: Path
    manifest: Manifest | None
    problems: tuple[str, ...] = field(default=())
    """What is damaged or missing, one sentence each."""

    @property
    def run_id(self) -> str:
        return (self.manifest.run_id if self.manifest else "") or self.path.name

    @property
    def slo_reference(self) -> str:
        """What to hand to ``load_slo`` to judge this run as it was meant: its SLO file, else its name."""
        slo = self.manifest.slo if self.manifest else {}
        file = str(slo.get("file") or "")
        return file if file and Path(file).exists() else str(slo.get("name") or "default")

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Every fault on record, in time order: the manifest's, and those it had not taken in when the run ended."""
        known = list(self.manifest.faults) if self.manifest else []
        for fault in _noted_faults(self.path / "faults.jsonl"):
            if (fault.at_s, fault.what) not in {(other.at_s, other.what) for other in known}:
                known.append(fault)
        return tuple(sorted(known, key=lambda fault: fault.at_s))


def find_run(named: Path) -> RunFolder:
    """Returns the run folder at ``named``, following ``latest`` (``runs`` itself means ``runs/latest``).

    Raises RunFolderMissing when there is no folder, NewerFormat when a newer version wrote it.
    """
    path = _find(named)
    if not (path / "manifest.json").exists():
        empty = not any(path.iterdir())
        return RunFolder(path, None, ("the run folder is empty" if empty else "manifest.json is missing",))
    return _with_manifest(path)


def refuse_newer(written: bytes, known_format: int, path: Path) -> None:
    """Raises NewerFormat when the JSON object ``written`` carries a format number above ``known_format``."""
    try:
        found = msgspec.json.decode(written)
    except msgspec.DecodeError:
        return
    number = found.get("format") if isinstance(found, dict) else None
    if isinstance(number, int) and number > known_format:
        raise NewerFormat(
            f"{path} has format {number}, and this version of ringfence reads up to format {known_format}",
            hint="read this run with the version of ringfence that wrote it, or a later one",
        )


def _noted_faults(file: Path) -> list[Fault]:
    faults = []
    if file.exists():
        for line in file.read_bytes().splitlines():
            with contextlib.suppress(msgspec.DecodeError):
                faults.append(msgspec.json.decode(line, type=Fault))
    return faults


def _find(named: Path) -> Path:
    path = named / "latest" if (named / "latest").is_symlink() else named
    if path.is_symlink() and not path.exists():
        raise RunFolderMissing(
            f"{path} points at {os.readlink(path)}, which is gone", hint="name one of the folders beside it"
        )
    if not path.exists():
        raise RunFolderMissing(f"there is no run folder at {named}", hint="'ringfence run' writes one into runs/")
    if not path.is_dir():
        raise RunFolderMissing(f"{named} is a file, not a run folder", hint="name the folder that holds manifest.json")
    return path.resolve()


def _with_manifest(path: Path) -> RunFolder:
    file = path / "manifest.json"
    try:
        written = file.read_bytes()
    except OSError as error:
        return RunFolder(path, None, (f"manifest.json cannot be read: {error.strerror}",))
    refuse_newer(written, MANIFEST_FORMAT, file)
    try:
        return RunFolder(path, msgspec.json.decode(written, type=Manifest))
    except msgspec.ValidationError as error:
        return _salvaged(path, written, error)
    except msgspec.DecodeError as error:
        return RunFolder(path, None, (f"manifest.json is torn: {error}",))


def _salvaged(path: Path, written: bytes, error: msgspec.ValidationError) -> RunFolder:
    problem = f"manifest.json has a wrong value: {error}"
    tables = msgspec.json.decode(written)
    if not isinstance(tables, dict):
        return RunFolder(path, None, (problem,))
    kept = {}
    for name in Manifest.__struct_fields__:
        if name in tables:
            try:
                kept[name] = getattr(msgspec.convert({name: tables[name]}, Manifest), name)
            except msgspec.ValidationError:
                continue
    return RunFolder(path, Manifest(**kept), (problem,))

"""Opens a run folder: finds it, checks its format, reads its manifest. Damage becomes a reason of the verdict."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bedrock.foreign_text import clean, clean_all
from bedrock.input_file import name_problem
from reports.errors import NewerFormat, RunFolderMissing
from reports.run.faults import Fault, read_faults
from reports.run.file_input import Unreadable, decode_json, read_file
from reports.run.manifest import MANIFEST_FORMAT, Manifest
from reports.slo.slo_file import BUILT_IN, built_in_names

PARTS = ("manifest.json", "plan.toml", "calls", "cells", "health", "live")
"""A folder with none of these is no run."""
LATEST = "latest"
"""A link to the newest run beside it, or a file with its name where the file system has no links."""
LONGEST_SHOWN = 80
"""Characters that an error shows of an impossible folder name."""
END_OF_TIME_S = 4_102_444_800.0
"""The year 2100. No clock of a machine that makes calls shows less than 0 or more than this."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder that exists, however little is in it."""

    path: Path
    manifest: Manifest | None
    problems: tuple[str, ...] = field(default=())
    """What is damaged or missing, one sentence each."""
    faults: tuple[Fault, ...] = field(default=())
    """Every fault on record, in time order: the manifest's, and those it had not taken in when the run ended."""

    @property
    def run_id(self) -> str:
        return (self.manifest.run_id if self.manifest else "") or self.path.name

    @property
    def slo_reference(self) -> str:
        """The argument of ``load_slo`` for the SLO that this run was made for.

        A file of the user stays the reference even when it is gone, because another file of that name may differ. A
        built-in SLO is found by its name, so that it works on another machine.
        """
        slo = self.manifest.slo if self.manifest else {}
        file, name = slo.get("file"), str(slo.get("name") or "default")
        if not isinstance(file, str) or not file:
            return name
        is_built_in = name in built_in_names() and Path(file).parts[-3:] == (*BUILT_IN.parts[-2:], f"{name}.toml")
        return name if is_built_in and not _is_file(Path(file)) else file


def find_run(named: Path) -> RunFolder:
    """Returns the run folder at ``named``, following ``latest`` (``runs`` itself means ``runs/latest``).

    Raises RunFolderMissing when there is no folder or it is no run, NewerFormat when a newer version wrote it.
    """
    path = _find(named)
    manifest, problems = _read_manifest(path)
    noted, unread = read_faults(path)
    known = list(manifest.faults) if manifest else []
    seen = {(fault.at_s, fault.what) for fault in known}
    known += [fault for fault in noted if (fault.at_s, fault.what) not in seen]
    faults = sorted((_with_sound_time(fault, manifest) for fault in known), key=lambda fault: fault.at_s)
    return RunFolder(path, manifest, (*problems, *unread), tuple(faults))


def is_run(path: Path) -> bool:
    """Whether a folder holds anything of a run. Raises OSError when it cannot be looked into."""
    return any(_exists(path / part) for part in PARTS)


def is_moment(at_s: float) -> bool:
    """Whether ``at_s`` is a Unix time that a clock can show."""
    return 0 <= at_s <= END_OF_TIME_S


def refuse_newer(written: bytes, known_format: int, path: Path) -> None:
    """Raises NewerFormat when the JSON object ``written`` carries a format number above ``known_format``."""
    try:
        found = decode_json(written, object)
    except Unreadable:
        return
    number = found.get("format") if isinstance(found, dict) else None
    if isinstance(number, int) and number > known_format:
        raise NewerFormat(
            f"{path} has format {number}, and this version of ringfence reads up to format {known_format}",
            hint="read this run with the version of ringfence that wrote it, or a later one",
        )


def require_name(named: Path) -> None:
    """Raises RunFolderMissing when no folder can have this name."""
    if problem := name_problem(str(named)):
        raise RunFolderMissing(
            f"{clean(str(named), LONGEST_SHOWN)} is no run folder: {problem}",
            hint="name a run folder, e.g. runs/latest",
        )


def _find(named: Path) -> Path:
    require_name(named)
    try:
        path = _followed(named)
        if path.is_symlink() and not path.exists():
            raise RunFolderMissing(
                f"{path} points at {os.readlink(path)}, which is gone", hint="name one of the folders beside it"
            )
        if not _exists(path):
            raise RunFolderMissing(f"there is no run folder at {named}", hint="'ringfence run' writes one into runs/")
        if not path.is_dir():
            raise RunFolderMissing(
                f"{named} is a file, not a run folder", hint="name the folder that holds manifest.json"
            )
        if not is_run(path):
            raise RunFolderMissing(
                f"{named} is no run folder: it holds none of {', '.join(PARTS)}",
                hint="name the folder that holds manifest.json",
            )
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        message = (error.strerror if isinstance(error, OSError) else None) or "its links form a loop"
        raise RunFolderMissing(
            f"{named} cannot be read: {message}", hint="name a run folder, e.g. runs/latest"
        ) from None


def _followed(named: Path) -> Path:
    """The newest run when ``named`` is ``latest``, or the folder of the runs."""
    path = named
    if not _exists(named / "manifest.json") and (_exists(named / LATEST) or (named / LATEST).is_symlink()):
        path = named / LATEST
    if path.name == LATEST and not path.is_symlink() and _is_file(path):
        try:
            beside = read_file(path, 1000).decode("utf-8").strip()
        except (Unreadable, UnicodeDecodeError):
            return path
        if beside and beside == Path(beside).name:
            return path.with_name(beside)
    return path


def _exists(path: Path) -> bool:
    """As ``Path.exists``, but what may not be looked at is an error, and a link that leads nowhere is something."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _read_manifest(path: Path) -> tuple[Manifest | None, list[str]]:
    file = path / "manifest.json"
    try:
        written = read_file(file)
    except FileNotFoundError:
        return None, ["manifest.json is missing: no ringfence run wrote this folder, or it was damaged"]
    except Unreadable as error:
        return None, [f"manifest.json {error}"]
    refuse_newer(written, MANIFEST_FORMAT, file)
    problems: list[str] = []
    try:
        manifest: Manifest | None = decode_json(written, Manifest)
    except Unreadable as error:
        manifest = _salvaged(written)
        problems.append(f"manifest.json {error}")
    if manifest is None:
        return None, problems
    manifest = clean_all(manifest)
    for name in ("started_at_s", "ended_at_s"):
        at_s = getattr(manifest, name)
        if at_s is not None and not is_moment(at_s):
            problems.append(f"manifest.json has a wrong value: {name} is {at_s:g}, which no clock shows")
            manifest = msgspec.structs.replace(manifest, **{name: None})
    return manifest, problems


def _salvaged(written: bytes) -> Manifest | None:
    """What is right in a manifest that is wrong somewhere; None when it is no table at all."""
    try:
        tables = decode_json(written, object)
    except Unreadable:
        return None
    if not isinstance(tables, dict):
        return None
    kept = {}
    for name in Manifest.__struct_fields__:
        if name in tables:
            try:
                kept[name] = getattr(msgspec.convert({name: tables[name]}, Manifest), name)
            except (msgspec.ValidationError, RecursionError):
                continue
    return Manifest(**kept)


def _with_sound_time(fault: Fault, manifest: Manifest | None) -> Fault:
    """A fault counts whatever its clock said: one that no clock shows is put at the start of the run."""
    if is_moment(fault.at_s):
        return fault
    return msgspec.structs.replace(fault, at_s=(manifest.started_at_s if manifest else None) or 0.0)

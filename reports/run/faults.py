"""Writes and reads the faults of a run: ``faults.jsonl``, one JSON object a line.

Every process of a run writes its faults here. The supervisor copies them into the manifest. The gate reads both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from bedrock.foreign_text import clean, clean_all, json_text
from reports.run.file_input import Unreadable, decode_json, read_file

FAULTS_FILE = "faults.jsonl"
Severity = Literal["invalid", "fail", "note"]
"""``invalid`` (the harness broke) and ``fail`` (the product broke) each decide the verdict. ``note`` does not."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a process of the run, or to the service under test."""

    at_s: float
    what: str
    detail: str = ""
    severity: str = "note"
    """One of ``Severity``. A file may hold another word, and that word still reads."""


def make_fault(*, at_s: float, what: str, detail: str, severity: Severity, ends_load: bool = False) -> dict[str, Any]:
    """Returns a fault as it is written, its text clean. ``ends_load`` asks the supervisor to end the load."""
    fault: dict[str, Any] = {"at_s": at_s, "what": clean(what), "detail": clean(detail), "severity": severity}
    return fault | {"ends_load": True} if ends_load else fault


def fault_line(fault: Mapping[str, Any]) -> bytes:
    """Returns the line that stands for ``fault`` in the file, and in a pipe."""
    return (json_text(fault) + "\n").encode()


def append_fault(run_folder: Path, fault: Mapping[str, Any]) -> None:
    """Appends one fault with one write, so that several processes may append. Raises OSError when the disk refuses."""
    descriptor = os.open(run_folder / FAULTS_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, fault_line(fault))
    finally:
        os.close(descriptor)


def noted_faults(run_folder: Path) -> list[dict[str, Any]]:
    """Returns the faults that the processes of a run wrote, each with all its keys.

    Lines that cannot be read are left out: the gate reads the same file and reports the damage.
    """
    try:
        lines = read_file(run_folder / FAULTS_FILE).splitlines()
    except (FileNotFoundError, Unreadable):
        return []
    return [fault for line in lines if (fault := fault_in(line)) is not None]


def fault_in(line: bytes) -> dict[str, Any] | None:
    """Returns the fault in one line, its text clean. Returns None for a torn line and for a line without a fault."""
    try:
        decode_json(line, Fault)  # a fault that the gate cannot read is no fault here either
        return clean_all(decode_json(line, dict))
    except Unreadable:
        return None


def read_faults(run_folder: Path) -> tuple[list[Fault], list[str]]:
    """Returns the faults in ``faults.jsonl``, and the first problem with the file (in a list, empty without one)."""
    try:
        lines = read_file(run_folder / FAULTS_FILE).splitlines()
    except FileNotFoundError:
        return [], []
    except Unreadable as error:
        return [], [f"{FAULTS_FILE} {error}"]
    faults, problems = [], []
    for number, line in enumerate(lines, 1):
        try:
            faults.append(clean_all(decode_json(line, Fault)))
        except Unreadable as error:
            problems.append(f"{FAULTS_FILE}: line {number} {error}")
    return faults, problems[:1]

"""Identifies the machine that a bench ran on, and chooses the core to measure."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path

import msgspec

from bedrock.errors import InputError, Problem


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What must be equal for two benches to be comparable."""

    processor: str
    cores: int
    memory_mb: int
    kernel: str
    python: str

    @property
    def fingerprint(self) -> str:
        """A short hash of all fields."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


def this_machine() -> Machine:
    """Returns the current machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_mb=round(pages / 1e6),
        kernel=platform.release(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def choose_core(wanted: int | None) -> int:
    """Returns the core to measure on: by default the last, since the first gets most interrupts. Raises InputError."""
    allowed = sorted(os.sched_getaffinity(0))
    if wanted is None:
        return allowed[-1]
    if wanted not in allowed:
        raise InputError([Problem("command line", "--core", f"{wanted} is not one of {', '.join(map(str, allowed))}")])
    return wanted


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()

"""Keeps the last measured capacity of this machine: the media bench writes it, whoever plans a load reads it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bedrock.user_cache import cache_folder
from bedrock.whole_file import write_whole
from calls.bench.machine import this_machine


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """The last bench of this machine. Figures are of one core that does nothing else."""

    machine: str
    """Fingerprint of processor, cores, memory, kernel and interpreter at that time."""
    calls_per_core: int
    video_calls_per_core: int | None
    """None when video was not measured."""
    setups_per_s_core: float
    """Calls with media that are set up and ended per second."""
    at_s: float
    """Unix time of the measurement."""
    quick: bool = False
    """Whether its steps were short, so that the figures are less exact."""


def last_bench() -> Capacity | None:
    """Returns the last bench of this machine; None when there is none, or it is unreadable or another machine's."""
    try:
        found = msgspec.json.decode(capacity_file().read_bytes(), type=Capacity)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.machine == this_machine().fingerprint else None


def save_capacity(capacity: Capacity) -> Path:
    """Stores ``capacity`` as the last bench; returns the file. Raises OSError."""
    path = capacity_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(capacity) + b"\n")
    return path


def capacity_file() -> Path:
    """Returns the file of the last bench (XDG base directories)."""
    return cache_folder() / "bench-media.json"

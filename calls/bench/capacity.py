"""What this machine was last measured to carry: written by the media bench, read by whoever plans a load."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bedrock.user_cache import cache_folder
from bedrock.whole_file import write_whole
from calls.bench.machine import this_machine


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """The last bench of this machine. Figures are of one core doing nothing else."""

    machine: str
    """Fingerprint of processor, cores, memory, kernel and interpreter, as they were then."""
    calls_per_core: int
    video_calls_per_core: int | None
    """None when video was not measured."""
    setups_per_s_core: float
    """Calls with media, set up and ended."""
    at_s: float
    """Unix time of the measurement."""
    quick: bool = False
    """Whether its steps were short, so that the figures are rough."""


def last_bench() -> Capacity | None:
    """Returns the last bench of this machine; None when there is none: unread, unreadable, or another machine's."""
    try:
        found = msgspec.json.decode(capacity_file().read_bytes(), type=Capacity)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.machine == this_machine().fingerprint else None


def remember(capacity: Capacity) -> Path:
    """Makes ``capacity`` the last bench; returns the file. Raises OSError."""
    path = capacity_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(capacity) + b"\n")
    return path


def capacity_file() -> Path:
    """Returns where the last bench is kept (XDG base directories)."""
    return cache_folder() / "bench-media.json"

"""Names control groups after their owner process, so that a later run can find those of dead owners.

The kernel reuses process ids. With the process's start time (clock ticks since boot, field 22 of /proc/PID/stat) a
process id is unique until the next boot.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

PREFIX = "ringfence-"

_serial = itertools.count(1)
_NAME = re.compile(r"^ringfence-(?P<pid>\d+)\.(?P<started>\d+)-\d+$")


def new_name() -> str:
    """Returns a name that no other process and no later call returns: ``ringfence-PID.START-N``."""
    pid = os.getpid()
    return f"{PREFIX}{pid}.{_start_ticks(pid)}-{next(_serial)}"


def owner_is_gone(name: str) -> bool:
    """Says whether ``name`` is from ``new_name`` and its process no longer runs."""
    match = _NAME.match(name)
    return match is not None and _start_ticks(int(match["pid"])) != int(match["started"])


def _start_ticks(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    # The second field, the command in brackets, may contain blanks and brackets.
    return int(stat.rpartition(")")[2].split()[19])

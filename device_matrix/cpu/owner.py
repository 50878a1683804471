"""Names what belongs to one process, so that a later run can tell what a dead owner left.

A pid alone is reused; with the process's start time (clock ticks since boot, field 22 of /proc/PID/stat) it is unique
until the next boot.
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
    """Returns a name that no other process, and no later call here, gives out: ``ringfence-PID.START-N``."""
    pid = os.getpid()
    return f"{PREFIX}{pid}.{_start_ticks(pid)}-{next(_serial)}"


def owner_is_gone(name: str) -> bool:
    """True when ``name`` is one of ours and the process that made it no longer runs."""
    match = _NAME.match(name)
    return match is not None and _start_ticks(int(match["pid"])) != int(match["started"])


def _start_ticks(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    # The second field, the command in brackets, may itself hold blanks and brackets.
    return int(stat.rpartition(")")[2].split()[19])

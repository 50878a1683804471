"""What the tests over real namespaces share: the state of the machine, and waiting for an event."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from network_profiles.lab import lacks

needs_links = pytest.mark.skipif(bool(lacks()), reason="; ".join(lacks()))


def link_devices() -> set[str]:
    """The devices of links in our namespace."""
    return {path.name for path in Path("/sys/class/net").iterdir() if re.fullmatch(r"rf\d+", path.name)}


def stays_after(before: set[str]) -> set[str]:
    """The devices that came after ``before`` and are still here once other tests' links have had the time to go."""
    came = link_devices() - before
    eventually(lambda: not came & link_devices(), within_s=40.0)
    return came & link_devices()


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(holds: Callable[[], bool], within_s: float = 5.0) -> bool:
    """Waits until it holds."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def round_trips_ms(exec_prefix: list[str], address: str, count: int) -> list[float]:
    """Pings from inside; the times of the answers that came."""
    argv = [*exec_prefix, "ping", "-n", "-c", str(count), "-i", "0.1", "-W", "3", address]
    output = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    return [float(time_ms) for time_ms in re.findall(r"time=([\d.]+) ms", output)]

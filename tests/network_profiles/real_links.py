"""Support for tests over real namespaces: the machine's state, and round trips."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from waiting import HANG_LIMIT_S, eventually

from network_profiles.links.open_link import missing_prerequisites

needs_links = pytest.mark.skipif(bool(missing_prerequisites()), reason="; ".join(missing_prerequisites()))


def link_devices() -> set[str]:
    """The devices of links in our namespace."""
    return {path.name for path in Path("/sys/class/net").iterdir() if re.fullmatch(r"rf\d+", path.name)}


def stays_after(before: set[str]) -> set[str]:
    """The devices that came after ``before`` and are still here once other tests' links have had the time to go."""
    came = link_devices() - before
    eventually(lambda: not came & link_devices())
    return came & link_devices()


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def round_trips_ms(exec_prefix: list[str], address: str, count: int) -> list[float]:
    """Pings from inside, one after the other; the times of the answers that came, however late."""
    ping = f"for number in $(seq {count}); do ping -n -c 1 -W {HANG_LIMIT_S:.0f} {address}; done"
    output = subprocess.run([*exec_prefix, "sh", "-c", ping], capture_output=True, text=True, check=False).stdout
    return [float(time_ms) for time_ms in re.findall(r"time=([\d.]+) ms", output)]


def quickest_round_trip_ms(exec_prefix: list[str], address: str, *, until_ms: float) -> float:
    """Pings until an answer is back within ``until_ms``; returns the least time of all.

    A machine that is late makes some round trips longer and none shorter; a link that is wrong shows it in the least.
    """
    times_ms: list[float] = []

    def is_back() -> bool:
        times_ms.extend(round_trips_ms(exec_prefix, address, 4))
        return min(times_ms) <= until_ms

    eventually(is_back)
    return min(times_ms)

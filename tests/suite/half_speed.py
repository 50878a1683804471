"""Runs a command on half of this machine: at most half of the CPU time of each core, in turns of 10 ms.

    python tests/suite/half_speed.py -- make test

A control group gives its processes 5 ms of every 10 ms for each core of the machine, so nothing is frozen for longer
than 5 ms. Real-time ranks get the same half, so that what asks for one is slowed, too. Control groups that a test makes
beside this one (a device's CPU quota) are not slowed. Needs root and cgroup v1 or v2.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD_US = 10_000
SHARE = 0.5
V1_CPU = Path("/sys/fs/cgroup/cpu")
V2_ROOTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))


class NoControlGroup(Exception):
    """This machine has no control group that bounds CPU time."""


@contextmanager
def half_of_each_core(share: float = SHARE) -> Iterator[Path]:
    """Makes a control group with ``share`` of each core and yields its folder; removes it, and what is in it, after."""
    quota_us = int(PERIOD_US * share) * (os.cpu_count() or 1)
    name = f"ringfence-half-{os.getpid()}"
    if (V1_CPU / "cpu.cfs_quota_us").exists():
        group = V1_CPU / name
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        if (group / "cpu.rt_runtime_us").exists():
            _slow_real_time(group, share)
    else:
        root = next((root for root in V2_ROOTS if _offers_cpu(root)), None)
        if root is None:
            raise NoControlGroup("no cgroup here bounds CPU time (neither v1 'cpu' nor v2 with the cpu controller)")
        (root / "cgroup.subtree_control").write_text("+cpu")
        group = root / name
        group.mkdir()
        (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
    try:
        yield group
    finally:
        _empty(group)
        group.rmdir()


def _slow_real_time(group: Path, share: float) -> None:
    """Gives real-time ranks the same share. The kernel gives all control groups together 95 % at most."""
    try:
        (group / "cpu.rt_period_us").write_text(str(PERIOD_US))
        (group / "cpu.rt_runtime_us").write_text(str(int(PERIOD_US * share)))
    except OSError:
        group.rmdir()
        others = [path.parent.name for path in V1_CPU.glob("*/cpu.rt_runtime_us") if int(path.read_text()) > 0]
        raise NoControlGroup(
            f"no real-time share of {share:.0%} is left beside the control groups {', '.join(others) or '(none)'}: "
            "wait until they have ended, or give a lower --share"
        ) from None


def throttled_share(group: Path) -> float:
    """Returns the share of periods in which the group used up its quota: shows that it did bound something."""
    figures = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    periods = int(figures["nr_periods"])
    return int(figures["nr_throttled"]) / periods if periods else 0.0


def _offers_cpu(root: Path) -> bool:
    controllers = root / "cgroup.controllers"
    return controllers.exists() and "cpu" in controllers.read_text().split()


def _empty(group: Path) -> None:
    """Ends every process that is still in the group."""
    deadline_s = time.monotonic() + 30
    while (pids := (group / "cgroup.procs").read_text().split()) and time.monotonic() < deadline_s:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.05)


def main() -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=SHARE, help="which share of each core (default 0.5)")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        parser.error("name the command to run, after --")
    try:
        with half_of_each_core(options.share) as group:
            enter = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", *command]
            try:
                code = subprocess.run(enter, check=False).returncode
            except KeyboardInterrupt:
                code = 130
            print(
                f"ringfence: the control group of {options.share:.0%} of each core was at its limit in "
                f"{throttled_share(group):.0%} of its periods of {PERIOD_US / 1000:.0f} ms"
            )
            return code
    except (NoControlGroup, PermissionError) as error:
        print(f"ringfence: cannot slow this machine: {error}", file=sys.stderr)
        return 5


if __name__ == "__main__":
    sys.exit(main())

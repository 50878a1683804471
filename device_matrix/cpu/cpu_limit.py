"""Limits a browser, with every process it starts, to the CPU of a phone: one control group per browser.

Chromium's own CPU throttle (CDP) slows only the renderer's main thread; encoding, decoding and network threads keep
their full speed. A quota on the control group slows all threads. It limits their sum, and one thread of a phone is
slower than one thread under the quota. So slow phones look better than real, never worse. Each cell shows by how much
(speed.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from device_matrix.cpu.owner import PREFIX, new_name, owner_is_gone
from device_matrix.devices import Device
from device_matrix.errors import DeviceUnavailable

CGROUP_ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 20_000
"""Short, because a group that has used its quota stops for the rest of the period: 20 ms is one audio frame."""
FLOOR_CORES = 0.25
"""Below a quarter of a desktop core, work that no phone has (software compositing, a desktop browser's own processes)
would use most of the quota, and the cell would measure that."""
KILL_TIMEOUT_S = 20.0
WEIGHT_SHARE = 0.25
"""The group's CPU weight against any other process: a browser that starts must not delay a link or an engine."""
V1_DEFAULT_SHARES, V2_DEFAULT_WEIGHT = 1024, 100
"""The kernel's own defaults of cpu.shares and cpu.weight."""


def quota_cores(device: Device, cores_available: int) -> float:
    """Returns the device's CPU in desktop cores: its cores over its slowdown, within [FLOOR_CORES, available]."""
    return min(float(cores_available), max(FLOOR_CORES, device.cores / device.cpu_slowdown))


@dataclass(frozen=True, slots=True)
class _Hierarchy:
    """This machine's control group trees: version 1 has one per controller, version 2 has one for all."""

    version: int
    cpu: Path
    usage: Path

    @property
    def trees(self) -> tuple[Path, ...]:
        return (self.cpu,) if self.cpu == self.usage else (self.cpu, self.usage)


def _find_hierarchy(root: Path) -> _Hierarchy | None:
    if (root / "cgroup.controllers").exists():
        return _Hierarchy(2, root, root) if "cpu" in (root / "cgroup.controllers").read_text().split() else None
    if (root / "cpu" / "cgroup.procs").exists() and (root / "cpuacct" / "cgroup.procs").exists():
        cpu, usage = (root / "cpu").resolve(), (root / "cpuacct").resolve()
        return _Hierarchy(1, cpu, usage)
    return None


def cpu_controller(root: Path = CGROUP_ROOT) -> str:
    """Returns the version of this machine's control groups with CPU quotas, ``v1`` or ``v2``; empty for none."""
    hierarchy = _find_hierarchy(root)
    return f"v{hierarchy.version}" if hierarchy is not None else ""


def missing_prerequisites(root: Path = CGROUP_ROOT) -> list[str]:
    """Returns what this machine lacks for CPU groups, a sentence each."""
    hierarchy = _find_hierarchy(root)
    if hierarchy is None:
        return [f"no control group tree with a cpu controller at {root}"]
    if not os.access(hierarchy.cpu / "cgroup.procs", os.W_OK):
        return [f"{hierarchy.cpu} is not writable: root is needed"]
    if is_occupied(root):
        return [f"{hierarchy.cpu} holds processes itself, so the kernel gives no group below it a cpu controller"]
    return []


def is_occupied(root: Path = CGROUP_ROOT) -> bool:
    """Says whether the top of a version 2 tree would refuse (EBUSY) to hand its cpu controller down.

    That happens in a container. Its top is a normal group that holds the container's processes. The machine's own top
    is the root group, which may hold processes and has no ``cgroup.type``.
    """
    hierarchy = _find_hierarchy(root)
    if hierarchy is None or hierarchy.version != 2 or not (root / "cgroup.type").exists():
        return False
    return not _delegates_cpu(hierarchy) and bool(_pids(root))


class CpuGroup:
    """One control group. A process started inside stays inside; ``release`` kills all of them."""

    def __init__(self, *, root: Path = CGROUP_ROOT) -> None:
        """Raises DeviceUnavailable when the machine has no control groups or refuses a new one."""
        hierarchy = _find_hierarchy(root)
        if hierarchy is None:
            raise DeviceUnavailable(missing_prerequisites(root)[0], reason="no_cpu_group")
        self._hierarchy = hierarchy
        self.name = new_name()
        try:
            _enable_cpu_below(hierarchy)
            for tree in hierarchy.trees:
                (tree / self.name).mkdir()
            self._lower_weight()
        except OSError as error:
            self.release()
            raise DeviceUnavailable(f"no CPU group could be made: {error}", reason="no_cpu_group") from error

    @property
    def join_paths(self) -> list[Path]:
        """Files into which a process writes ``0`` to join the group."""
        return [tree / self.name / "cgroup.procs" for tree in self._hierarchy.trees]

    def limit(self, cores: float | None) -> None:
        """Limits the group to ``cores`` CPU seconds per second; None lifts the limit. Raises DeviceUnavailable."""
        quota_us = -1 if cores is None else max(1000, round(cores * PERIOD_US))
        folder = self._hierarchy.cpu / self.name
        try:
            if self._hierarchy.version == 2:
                (folder / "cpu.max").write_text(f"{'max' if quota_us < 0 else quota_us} {PERIOD_US}")
            else:
                (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (folder / "cpu.cfs_quota_us").write_text(str(quota_us))
        except OSError as error:
            raise DeviceUnavailable(f"the CPU limit was refused: {error}", reason="no_cpu_group") from error

    def _lower_weight(self) -> None:
        folder = self._hierarchy.cpu / self.name
        if self._hierarchy.version == 2:
            (folder / "cpu.weight").write_text(str(round(V2_DEFAULT_WEIGHT * WEIGHT_SHARE)))
        else:
            (folder / "cpu.shares").write_text(str(round(V1_DEFAULT_SHARES * WEIGHT_SHARE)))

    def used_s(self) -> float:
        """Returns the CPU seconds used by every process that ran inside."""
        folder = self._hierarchy.usage / self.name
        if self._hierarchy.version == 1:
            return int((folder / "cpuacct.usage").read_text()) / 1e9
        fields = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
        return int(fields["usage_usec"]) / 1e6

    def throttled_s(self) -> float:
        """Returns how long the group was stopped because its quota was used up."""
        fields = dict(line.split() for line in (self._hierarchy.cpu / self.name / "cpu.stat").read_text().splitlines())
        return (
            int(fields["throttled_usec"]) / 1e6 if "throttled_usec" in fields else int(fields["throttled_time"]) / 1e9
        )

    def pids(self) -> list[int]:
        """Returns the process ids inside now."""
        return _pids(self._hierarchy.cpu / self.name)

    def kill(self) -> None:
        """Kills every process inside now."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def release(self) -> None:
        """Kills every process inside and removes the group. Safe to call twice."""
        for tree in self._hierarchy.trees:
            _kill_and_remove(tree / self.name)


def sweep(root: Path = CGROUP_ROOT) -> list[str]:
    """Kills and removes the groups of dead owners. Returns their names; none without the right to remove them."""
    hierarchy = _find_hierarchy(root)
    if hierarchy is None or missing_prerequisites(root):
        return []
    stale = [folder for tree in hierarchy.trees for folder in tree.glob(f"{PREFIX}*") if owner_is_gone(folder.name)]
    for folder in stale:
        _kill_and_remove(folder)
    return sorted({folder.name for folder in stale})


def _enable_cpu_below(hierarchy: _Hierarchy) -> None:
    if hierarchy.version == 2 and not _delegates_cpu(hierarchy):
        (hierarchy.cpu / "cgroup.subtree_control").write_text("+cpu")


def _delegates_cpu(hierarchy: _Hierarchy) -> bool:
    return "cpu" in (hierarchy.cpu / "cgroup.subtree_control").read_text().split()


def _pids(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _kill_and_remove(folder: Path) -> None:
    deadline_s = time.monotonic() + KILL_TIMEOUT_S
    while folder.exists():
        with contextlib.suppress(OSError):
            if (folder / "cpu.cfs_quota_us").exists():
                # Processes need CPU time to die: without quota they would take long.
                (folder / "cpu.cfs_quota_us").write_text("-1")
        for pid in _pids(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        if time.monotonic() > deadline_s:
            return
        time.sleep(0.01)

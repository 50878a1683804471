"""Control groups: the files of both versions, and on this machine's own tree the real thing."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import eventually

from device_matrix.cpu import cpu_limit
from device_matrix.cpu.cpu_limit import PERIOD_US, CpuGroup
from device_matrix.cpu.owner import new_name, owner_is_gone
from device_matrix.errors import DeviceUnavailable

needs_groups = pytest.mark.skipif(
    bool(cpu_limit.missing_prerequisites()), reason="no control groups that are ours to write"
)


def tree_v1(root: Path) -> Path:
    for name in ("cpu", "cpuacct"):
        (root / name).mkdir(parents=True)
        (root / name / "cgroup.procs").touch()
    return root


def tree_v2(root: Path) -> Path:
    root.mkdir()
    (root / "cgroup.controllers").write_text("cpuset cpu io memory\n")
    (root / "cgroup.subtree_control").write_text("")
    (root / "cgroup.procs").touch()
    return root


def test_version_1_takes_quota_and_period_and_has_two_trees_to_join(tmp_path: Path) -> None:
    group = CpuGroup(root=tree_v1(tmp_path / "v1"))
    group.limit(0.5)
    folder = tmp_path / "v1" / "cpu" / group.name
    assert (folder / "cpu.cfs_period_us").read_text() == str(PERIOD_US)
    assert (folder / "cpu.cfs_quota_us").read_text() == str(PERIOD_US // 2)
    assert (folder / "cpu.shares").read_text() == "256"
    assert [path.parent.parent.name for path in group.join_paths] == ["cpu", "cpuacct"]
    group.limit(None)
    assert (folder / "cpu.cfs_quota_us").read_text() == "-1"


def test_version_2_takes_both_in_one_file_and_is_switched_on_for_children(tmp_path: Path) -> None:
    root = tree_v2(tmp_path / "v2")
    group = CpuGroup(root=root)
    assert (root / "cgroup.subtree_control").read_text() == "+cpu"
    group.limit(2.0)
    assert (root / group.name / "cpu.max").read_text() == f"{2 * PERIOD_US} {PERIOD_US}"
    group.limit(None)
    assert (root / group.name / "cpu.max").read_text() == f"max {PERIOD_US}"
    assert (root / group.name / "cpu.weight").read_text() == "25"
    (root / group.name / "cpu.stat").write_text("usage_usec 1500000\nthrottled_usec 250000\n")
    assert (group.used_s(), group.throttled_s()) == (1.5, 0.25)


def test_a_container_whose_top_group_holds_its_processes_says_so_beforehand(tmp_path: Path) -> None:
    root = tree_v2(tmp_path / "v2")
    (root / "cgroup.procs").write_text("1\n7\n")
    assert cpu_limit.missing_prerequisites(root) == [], "the machine's own top may hold processes"
    (root / "cgroup.type").write_text("domain\n")
    assert "holds processes itself" in cpu_limit.missing_prerequisites(root)[0]
    assert (root / "cgroup.subtree_control").read_text() == "", "who only looks changes nothing"
    (root / "cgroup.subtree_control").write_text("cpu\n")
    assert cpu_limit.missing_prerequisites(root) == []
    (root / "cgroup.subtree_control").write_text("")
    (root / "cgroup.procs").write_text("")
    assert cpu_limit.missing_prerequisites(root) == []


def test_a_machine_without_groups_says_so(tmp_path: Path) -> None:
    assert cpu_limit.cpu_controller(tmp_path) == ""
    assert "no control group" in cpu_limit.missing_prerequisites(tmp_path)[0]
    with pytest.raises(DeviceUnavailable) as caught:
        CpuGroup(root=tmp_path)
    assert caught.value.reason == "no_cpu_group"


def test_a_name_tells_a_dead_owner_from_a_living_one() -> None:
    assert not owner_is_gone(new_name())
    assert owner_is_gone("ringfence-1.999999999-1"), "the pid lives, but its process is not the one that made the name"
    assert not owner_is_gone("ringfence-k3j2"), "not a name of ours"
    child = subprocess.Popen(["sleep", "60"])
    started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    name = f"ringfence-{child.pid}.{started}-1"
    assert not owner_is_gone(name)
    child.kill()
    child.wait()
    assert owner_is_gone(name)


@pytest.fixture
def group() -> Iterator[CpuGroup]:
    made = CpuGroup()
    yield made
    made.release()


def start_inside(group: CpuGroup, command: str) -> subprocess.Popen[bytes]:
    joins = "".join(f"echo 0 > {path}; " for path in group.join_paths)
    return subprocess.Popen(["sh", "-c", f"{joins}{command}"])


def give_first_place(group: CpuGroup) -> None:
    """Lets the group have what it can use, whatever else the machine does: then only its quota holds it."""
    shares, weight = (group.join_paths[0].parent / name for name in ("cpu.shares", "cpu.weight"))
    if shares.exists():
        shares.write_text("262144")
    else:
        weight.write_text("10000")


@needs_groups
@pytest.mark.integration
def test_the_quota_holds_a_busy_program_and_its_children(group: CpuGroup) -> None:
    group.limit(0.25)
    give_first_place(group)
    busy = start_inside(group, "while :; do :; done & while :; do :; done")
    assert eventually(lambda: group.used_s() > 0.05), "the program runs"
    # The clock is read outside of the account: where this test has to wait, the share is less and never more.
    started_s, before_s = time.monotonic(), group.used_s()
    assert eventually(lambda: group.used_s() - before_s > 0.25), "it goes on, quota or not"
    share = (group.used_s() - before_s) / (time.monotonic() - started_s)
    throttled_s = group.throttled_s()
    group.release()
    busy.wait()
    assert share < 0.35
    assert throttled_s > 0, "nothing but the quota held it"


@needs_groups
@pytest.mark.integration
def test_release_kills_all_that_is_inside_and_removes_the_group(group: CpuGroup) -> None:
    parent = start_inside(group, "setsid sleep 600 & sleep 600")
    assert eventually(lambda: len(group.pids()) >= 3)
    inside = group.pids()
    group.release()
    parent.wait()
    assert not any(Path(f"/proc/{pid}").exists() and _runs(pid) for pid in inside)
    assert not any(path.parent.exists() for path in group.join_paths)
    group.release()


@needs_groups
@pytest.mark.integration
def test_the_sweep_removes_groups_of_dead_owners_only(group: CpuGroup) -> None:
    tree = group.join_paths[0].parent.parent
    stale = tree / "ringfence-1.999999999-7"
    stale.mkdir()
    left = subprocess.Popen(["sh", "-c", f"echo 0 > {stale}/cgroup.procs; exec sleep 600"])
    assert eventually(lambda: str(left.pid) in (stale / "cgroup.procs").read_text().split())
    swept = cpu_limit.sweep()
    left.wait()
    assert stale.name in swept
    assert group.name not in swept
    assert not stale.exists()
    assert (tree / group.name).exists()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_groups_are_made_by_root_only() -> None:
    if os.geteuid() == 0:
        assert cpu_limit.missing_prerequisites() == []
    else:
        assert "root is needed" in cpu_limit.missing_prerequisites()[0]

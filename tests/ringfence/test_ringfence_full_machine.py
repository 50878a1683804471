"""Runs on machines that have no room: a disk that fills up, turns read-only, or takes no run at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_run import PLAN, nothing_left
from waiting import HANG_LIMIT_S, eventually

from bedrock.clock import SystemClock
from bedrock.exit_codes import ExitCode
from device_matrix.cpu.cpu_limit import CGROUP_ROOT
from device_matrix.cpu.owner import PREFIX
from device_matrix.network import link_choice
from reports.build import summarize
from reports.slo.slo_file import load_slo
from ringfence.orchestration.fault_pipe import FaultPipe
from ringfence.orchestration.run_folder import RESERVE_FOR_RECORDS, RESERVE_FOR_REPORTS, RunFolderWriter

FAULT = {"at_s": 2.0, "what": "worker_lost", "detail": "worker 1 is gone", "severity": "invalid"}


def folder_in(path: Path) -> RunFolderWriter:
    return RunFolderWriter(path, SystemClock(), {"faults": []})


def test_a_manifest_that_cannot_be_written_is_told_and_the_old_one_stays(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    folder.save()
    (tmp_path / f".manifest.json.{os.getpid()}.partial").symlink_to("/dev/full")
    folder.record_fault("disk_refuses", "the disk is full", "invalid")
    assert folder.problem == f"{tmp_path / 'manifest.json'} cannot be written: No space left on device"
    assert json.loads((tmp_path / "manifest.json").read_text()) == {"faults": []}
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    folder.save()
    assert folder.problem == ""
    assert json.loads((tmp_path / "manifest.json").read_text())["faults"][0]["what"] == "disk_refuses"


def test_a_fault_that_came_by_pipe_and_by_file_is_one_fault(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    pipe = FaultPipe()
    line = json.dumps(FAULT).encode() + b"\n"
    os.write(pipe.writing_end, b"not JSON\n[1]\n" + line[:20])
    assert pipe.read() == []
    os.write(pipe.writing_end, line[20:] + line)
    faults = pipe.read()
    assert faults == [FAULT, FAULT]
    for fault in faults:
        folder.add_fault(fault)
    wrong = (
        b"[2]",
        b"{}",
        b'{"what": "x"}',
        b'{"what": 7, "at_s": 1}',
        b'{"what": "x", "at_s": "y"}',
        b"[" * 99_999,
        b"\xff",
    )
    (tmp_path / "faults.jsonl").write_bytes(line + b"\n".join(wrong) + b"\n" + line[:20])
    folder.copy_noted_faults()
    assert folder.manifest["faults"] == [FAULT]
    assert pipe.read() == []
    pipe.close_writing_end()
    assert pipe.read() is None
    pipe.close()
    pipe.close()


@pytest.mark.parametrize("kind", ["folder", "pipe", "missing", "torn"])
def test_a_faults_file_that_cannot_be_read_hides_no_other_fault_and_is_named(tmp_path: Path, kind: str) -> None:
    folder, file = folder_in(tmp_path), tmp_path / "faults.jsonl"
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "torn":
            file.write_bytes(json.dumps(FAULT).encode()[:30])
    folder.add_fault(FAULT)
    folder.finish(interrupted=False, other_runs=[])
    assert folder.manifest["faults"] == [FAULT]
    reasons = summarize(tmp_path, load_slo("smoke")).reasons
    assert any("faults.jsonl" in reason for reason in reasons) == (kind != "missing"), reasons


CELLS = """
name = "cells"
seed = 3
slo = "smoke"
[matrix]
devices = ["pixel-7"]
drivers = "playwright"
workers = 1
sustain_s = 60
[[matrix.rules]]
scenario = "audio_call"
networks = ["lte_good", "wifi_good", "hspa_35g"]
"""
"""Cells of minutes: a matrix that heard nothing of the disk would still be at its first one when the test gives up."""


@dataclass
class SmallDisk:
    """A run on a small file system of its own, which only its own processes see."""

    popen: subprocess.Popen[str]
    disk: Path
    kept: Path

    @property
    def inside(self) -> Path:
        """The disk as the run sees it, while it lives."""
        return Path(f"/proc/{self.popen.pid}/root{self.disk}")

    def wait_for_calls(self) -> None:
        self.wait_for("live/swarm.jsonl", '"calls_active":2')

    def wait_for(self, name: str, text: str) -> None:
        """Waits until a file of the run holds ``text``."""

        def is_there() -> bool:
            file = self.inside / "runs" / "latest" / name
            assert self.popen.poll() is None, self.popen.communicate()[0]
            return file.exists() and text in file.read_text()

        assert eventually(is_there)

    def fill(self) -> None:
        with (self.inside / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError:
                return

    def turn_read_only(self) -> None:
        """Lays a read-only view over the run's folder: a file system with open files is not remounted.

        The view is made elsewhere and moved there when it is read-only, before anybody can open a file through it.
        """
        run = self.disk / "runs" / os.readlink(self.inside / "runs" / "latest")
        view = self.disk / "view"
        command = f"mkdir {view} && mount --bind {run} {view} && mount -o remount,bind,ro {view}"
        command += f" && mount --move {view} {run}"
        subprocess.run(["nsenter", "--mount", "--target", str(self.popen.pid), "sh", "-c", command], check=True)

    def ended(self) -> tuple[int, str]:
        output, _ = self.popen.communicate(timeout=HANG_LIMIT_S)
        return self.popen.returncode, output


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    plan = tmp_path / "small.toml"
    plan.write_text(PLAN.replace("PEAK", "90").replace("SLO", "smoke"))
    with on_small_disk(tmp_path, f"swarm --plan {plan} --set swarm.probe_calls=1") as disk:
        yield disk


@contextmanager
def on_small_disk(tmp_path: Path, command: str) -> Iterator[SmallDisk]:
    if os.geteuid():
        pytest.skip("only root may mount a file system")
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=20m none {disk} || exit 99; "
        f"{sys.executable} -m ringfence {command} --runs {disk}/runs; code=$?; "
        f"cp -r {disk}/runs {kept}; exit $code"
    )
    popen = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield SmallDisk(popen, disk, kept)
    finally:
        if popen.poll() is None:
            os.killpg(popen.pid, 9)
            popen.communicate()
    assert nothing_left(disk)


@pytest.mark.patient
@pytest.mark.integration
def test_a_disk_that_fills_up_ends_the_load_and_the_verdict_says_why(small_disk: SmallDisk) -> None:
    small_disk.wait_for_calls()
    small_disk.fill()
    code, output = small_disk.ended()

    assert code == ExitCode.INVALID, output
    assert "the load ends: " in output
    assert "INVALID" in output
    (folder,) = [path for path in small_disk.kept.iterdir() if path.name != "latest"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["ended_at_s"] is not None
    # Whoever meets the full disk first tells of it: the supervisor, or a process of the swarm through its pipe.
    began = min(fault["at_s"] for fault in manifest["faults"] if "disk" in fault["what"] or fault.get("ends_load"))
    # The plan has 90 s of load, and no call of it outlives the disk.
    assert manifest["ended_at_s"] - manifest["started_at_s"] < 90 or manifest["ended_at_s"] - began < 90
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["verdict"] == "INVALID"
    assert any("is full" in reason or "No space left" in reason for reason in summary["reasons"])
    for name in ("report.html", "junit.xml", "summary.md"):
        assert (folder / name).stat().st_size > 0, name
    assert not [name for name in (RESERVE_FOR_RECORDS, RESERVE_FOR_REPORTS) if (folder / name).exists()]
    assert not list(folder.rglob(".*.parquet.*")), "half a segment was left"


@pytest.mark.patient
@pytest.mark.integration
def test_a_disk_that_turns_read_only_ends_the_load_and_the_verdict_is_on_the_terminal(small_disk: SmallDisk) -> None:
    small_disk.wait_for_calls()
    small_disk.turn_read_only()
    code, output = small_disk.ended()

    assert code == ExitCode.INVALID, output
    assert "INVALID" in output
    assert "Read-only file system" in output


@pytest.mark.patient
@pytest.mark.integration
@pytest.mark.skipif(bool(link_choice.missing_prerequisites(None)), reason="no links or CPU groups on this machine")
def test_a_disk_that_fills_up_ends_the_matrix_and_the_verdict_says_why(tmp_path: Path) -> None:
    plan = tmp_path / "cells.toml"
    plan.write_text(CELLS)
    with on_small_disk(tmp_path, f"matrix --plan {plan}") as disk:
        disk.wait_for("live/matrix.jsonl", '"event":"start"')
        disk.fill()
        code, output = disk.ended()

    assert code == ExitCode.INVALID, output
    assert "the load ends: " in output
    assert "Traceback" not in output
    (folder,) = [path for path in disk.kept.iterdir() if path.name != "latest"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["ended_at_s"] is not None
    assert "disk_refuses" in [fault["what"] for fault in manifest["faults"]]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["verdict"] == "INVALID"
    assert any("is full" in reason or "No space left" in reason for reason in summary["reasons"]), summary["reasons"]
    for name in ("report.html", "junit.xml", "summary.md"):
        assert (folder / name).stat().st_size > 0, name
    assert not list(CGROUP_ROOT.glob(f"*/{PREFIX}{disk.popen.pid}.*")), "a control group was left"

"""Runs SIPp as a reference for the signaling bench: the same call without media, in native code, without TLS or JSON.

INVITE, 180, 200, ACK, BYE, 200 over UDP on loopback. The caller's and the callee's process each have a core.
"""

from __future__ import annotations

import contextlib
import csv
import os
import select
import shutil
import socket
import time
from pathlib import Path

import msgspec
import psutil

from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import EnvironmentLacks
from bedrock.free_port import free_port
from bedrock.scratch import scratch_folder
from bedrock.short_command import run_and_read

HINT = "apt-get install sip-tester"
_ADDRESS = "127.0.0.1"
_BOUND_WITHIN_S = 5.0
START_LIMIT_S = 15.0
"""An ordinary process may have to wait for a core that it shares with real-time processes."""
_TALK_MS = 1
"""Not 0: SIPp 3.6 hangs when a pause of 0 ms begins while its clock stands still."""
_PER_CALL_LIMIT_S = 0.002
"""Below 500 calls/s, a run of SIPp is given up."""


class SippRun(msgspec.Struct, frozen=True, kw_only=True):
    """SIPp calls SIPp."""

    calls: int
    failed: int
    retransmissions: int
    seconds: float
    calls_per_s: float
    caller_cpu_ms: float
    """CPU time per call in the calling process."""
    callee_cpu_ms: float
    calls_per_s_core: float
    """Calls per CPU second of the caller: to compare with our engine's figure."""


def is_installed() -> bool:
    """Returns whether SIPp is installed."""
    return shutil.which("sipp") is not None


def run_sipp(calls: int, at_once: int, *, caller_core: int, callee_core: int) -> SippRun:
    """Places ``calls`` calls, ``at_once`` at a time. A call whose datagram was dropped counts as failed.

    Raises EnvironmentLacks when SIPp is missing or does not finish.
    """
    if not is_installed():
        raise EnvironmentLacks("SIPp is not on this machine", hint=HINT)
    with scratch_folder() as folder:
        port = free_port(_ADDRESS, socket.SOCK_DGRAM)
        common = ["-i", _ADDRESS, "-nostdin", "-max_retrans", "2"]
        callee = _sipp(folder, "uas", callee_core, ["-sn", "uas", "-p", str(port), *common])
        caller = None
        try:
            _wait_bound(port, callee)
            began_s = time.monotonic()
            arguments = [
                "-sn",
                "uac",
                f"{_ADDRESS}:{port}",
                "-p",
                str(free_port(_ADDRESS, socket.SOCK_DGRAM)),
                "-users",
                str(at_once),
            ]
            arguments += [
                "-m",
                str(calls),
                "-d",
                str(_TALK_MS),
                "-trace_stat",
                "-stf",
                str(folder / "calls.csv"),
                *common,
            ]
            caller = _sipp(folder, "uac", caller_core, arguments)
            cpu_s = _cpu_s_at_end(caller, START_LIMIT_S + calls * _PER_CALL_LIMIT_S)
            seconds = time.monotonic() - began_s
            callee_cpu_s = sum(psutil.Process(callee.pid).cpu_times()[:2])
            return _read(folder / "calls.csv", seconds, cpu_s, callee_cpu_s)
        finally:
            for child in (caller, callee):
                if child is not None:
                    child.stop(timeout_s=0.5)


def _sipp(folder: Path, name: str, core: int, arguments: list[str]) -> ChildProcess:
    argv = ["taskset", "-c", str(core), "sipp", *arguments]
    return spawn(f"SIPp ({name})", argv, log_path=folder / f"{name}.log", env={"TERM": "dumb"}, cwd=folder)


def _wait_bound(port: int, callee: ChildProcess) -> None:
    """Waits until ``port`` is bound: SIPp does not report when it is ready."""
    deadline_s = time.monotonic() + _BOUND_WITHIN_S
    with contextlib.suppress(psutil.Error):
        while time.monotonic() < deadline_s:
            if any(bound.laddr and bound.laddr.port == port for bound in psutil.Process(callee.pid).net_connections()):
                return
            time.sleep(0.02)
    raise EnvironmentLacks("SIPp did not open its port", hint=callee.log_tail())


def _cpu_s_at_end(caller: ChildProcess, timeout_s: float) -> float:
    """Waits for a child's end; returns its CPU seconds, which the kernel keeps until the child is reaped."""
    pidfd = os.pidfd_open(caller.pid)
    try:
        ended = psutil.Process(caller.pid)
        if not _readable(pidfd, timeout_s):
            raise EnvironmentLacks(f"SIPp did not finish within {timeout_s:.0f} s", hint=caller.log_tail())
        return float(sum(ended.cpu_times()[:2]))
    finally:
        os.close(pidfd)


def _readable(descriptor: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _read(statistics: Path, seconds: float, cpu_s: float, callee_cpu_s: float) -> SippRun:
    try:
        with statistics.open(encoding="utf-8", newline="") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        done, failed = int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])
        again = int(last.get("Retransmissions(C)") or 0)
    except (OSError, IndexError, KeyError, ValueError) as error:
        raise EnvironmentLacks(f"SIPp left no statistics that we can read: {error!r}") from error
    return SippRun(
        calls=done,
        failed=failed,
        retransmissions=again,
        seconds=round(seconds, 3),
        calls_per_s=round(done / seconds, 1),
        caller_cpu_ms=round(1000 * cpu_s / done, 4) if done else 0.0,
        callee_cpu_ms=round(1000 * callee_cpu_s / done, 4) if done else 0.0,
        calls_per_s_core=round(done / cpu_s, 1) if cpu_s else 0.0,
    )


def version() -> str:
    """Returns SIPp's version line, e.g. ``SIPp v3.6.1``; empty when it is missing."""
    if not is_installed():
        return ""
    said = run_and_read(["sipp", "-v"]).stdout
    return next((line.strip().rstrip(".") for line in said.splitlines() if "SIPp v" in line), "")

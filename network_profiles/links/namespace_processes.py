"""Finds and kills the processes inside a network namespace, which is identified by its inode."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def namespace_inode(pid: int | str) -> int:
    """Returns the inode of the network namespace of ``pid``. Raises OSError when there is no such process."""
    return os.stat(f"/proc/{pid}/ns/net").st_ino


def processes_in_namespace(inode: int) -> list[int]:
    """Returns the processes in that namespace; none when it is our own."""
    if inode == namespace_inode("self"):
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if namespace_inode(entry.name) == inode:
                    found.append(int(entry.name))
    return found


def without_link_device(pids: list[int]) -> list[int]:
    """Returns the processes whose namespace has only loopback: their link is gone.

    The kernel reuses an inode once its namespace is gone, so the inode alone does not prove that a process was ours.
    """
    return [pid for pid in pids if _devices(pid) <= {"lo"}]


def kill(pids: list[int]) -> None:
    """Kills the processes with SIGKILL."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _devices(pid: int) -> set[str]:
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text(encoding="utf-8").splitlines()[2:]
    except OSError:
        return {"unknown"}
    return {line.partition(":")[0].strip() for line in lines}

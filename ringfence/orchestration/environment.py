"""Describes the machine of a run: kernel, cores, memory, versions, the state of the source tree."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

from bedrock.short_command import run_and_read

PACKAGES = (
    "ringfence",
    "locust",
    "aiortc",
    "av",
    "playwright",
    "appium-python-client",
    "pytest",
    "pytest-xdist",
    "uvloop",
)
SYSCTLS = ("net/core/rmem_max", "net/core/wmem_max", "net/core/rmem_default", "net/core/netdev_max_backlog")


def package_versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages whose behaviour shows in the figures."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "absent"
    return versions


def capture_environment() -> dict[str, Any]:
    """Returns the machine's state at this moment. Taken before and after a run, so that a change shows."""
    memory = psutil.virtual_memory()
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_1min": os.getloadavg()[0],
        "memory_mb": memory.total // 2**20,
        "memory_available_mb": memory.available // 2**20,
        "sysctl": {name: _read(Path("/proc/sys") / name) for name in SYSCTLS},
        "processes": len(psutil.pids()),
    }


def git_state() -> dict[str, str]:
    """Returns commit and dirtiness of the tree that ringfence runs from; empty outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {}
    return {"commit": commit, "dirty": "yes" if _git("status", "--porcelain") else "no"}


def _git(*arguments: str) -> str:
    try:
        done = run_and_read(["git", *arguments], cwd=Path(__file__).parent, timeout_s=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""

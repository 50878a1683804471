"""Whether the kernel can do what a backend needs, found out by trying it where nothing can be disturbed."""

from __future__ import annotations

import subprocess


def has_netem() -> bool:
    """Tries to add a netem queue to the loopback of a network namespace that exists only for the attempt."""
    attempt = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    try:
        return subprocess.run(attempt, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False

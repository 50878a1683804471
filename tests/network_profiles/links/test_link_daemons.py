"""Daemons of links run without site-packages (``-S``): they start sooner, and need nothing but the standard library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bedrock.project import PROJECT_ROOT


@pytest.mark.parametrize(
    "module",
    [
        "network_profiles.links.userspace.__main__", "network_profiles.links.netem.netem_daemon",
        "network_profiles.verification.probe.endpoint",
        "network_profiles.bench.traffic",
    ],
)  # fmt: skip
def test_a_daemon_needs_only_the_standard_library(module: str) -> None:
    argv = [sys.executable, "-S", "-c", f"import {module}"]
    done = subprocess.run(argv, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

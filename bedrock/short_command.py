"""Runs a program that only answers a question, in a clean environment, and reads what it said as text."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bedrock.child_environment import child_environment


def run_and_read(
    argv: Sequence[str],
    *,
    timeout_s: float | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs ``argv`` to its end and returns its exit code, stdout and stderr. Bytes that are no UTF-8 are replaced.

    ``environment`` is added to a child's clean one. Raises OSError when it cannot start, and TimeoutExpired.
    """
    return subprocess.run(
        argv, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=timeout_s, cwd=cwd,
        env=child_environment(environment),
    )  # fmt: skip

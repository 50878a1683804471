"""Runs a short command in a clean environment and returns its output as text."""

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
    """Runs ``argv`` to its end and returns exit code, stdout and stderr. Bytes that are not UTF-8 are replaced.

    ``environment`` is added to the clean environment. Raises OSError when the program cannot start, and TimeoutExpired.
    """
    return subprocess.run(
        argv, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=timeout_s, cwd=cwd,
        env=child_environment(environment),
    )  # fmt: skip

"""Starts the device matrix: pytest with its xdist workers."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from bedrock.child_process import ChildProcess, spawn
from calls.targets.admin_api import TOKEN_VARIABLE
from calls.targets.running_target import RunningTarget
from ringfence.orchestration.run_folder import RunFolderWriter


def start_matrix(
    workers: int, target: RunningTarget, folder: RunFolderWriter, filters: Mapping[str, str]
) -> ChildProcess:
    """Starts pytest on the ``[matrix]`` section of the run's plan.

    ``filters`` narrows it: ``cell``, ``devices``, ``networks``, ``scenarios``, ``drivers``, each empty for all.
    """
    argv = [
        sys.executable, "-m", "pytest", str(matrix_folder()), "-n", str(workers),
        "-c", str(matrix_folder() / "pytest.toml"), "-p", "no:cacheprovider", "--tb=short", "-q",
        "--junitxml", str(folder.path / "logs" / "matrix-junit.xml"),
        "--plan", str(folder.plan_file), "--run-folder", str(folder.path.absolute()), "--target", target.url,
    ]  # fmt: skip
    for name, value in filters.items():
        if value:
            argv += [f"--{name}", value]
    return spawn(
        "device_matrix",
        argv,
        log_path=folder.path / "logs" / "matrix.log",
        env={TOKEN_VARIABLE: target.admin_token},
        death_signal="TERM",
    )


def matrix_folder() -> Path:
    """Returns the folder of the device matrix, wherever the package is installed."""
    found = importlib.util.find_spec("device_matrix")
    if found is None or not found.submodule_search_locations:
        raise ImportError("the package 'device_matrix' is not installed")
    return Path(next(iter(found.submodule_search_locations)))

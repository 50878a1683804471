"""A reference service of our own, for a matrix that was given no target."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bedrock.child_process import ChildProcess, spawn

TOKEN_VARIABLE = "RINGFENCE_ADMIN_TOKEN"
READY_TIMEOUT_S = 20.0
LINK_RANGE = "10.213.0.0/16"


def start_service(database: Path, log_path: Path, settings: Mapping[str, Any]) -> tuple[ChildProcess, str]:
    """Starts the service on a free port of loopback; ``settings`` is the plan's ``[service]`` table.

    Returns the process and its URL; the admin token is in our environment then, for us and for our children.
    Raises EnvironmentLacks when it does not come up.
    """
    os.environ.setdefault(TOKEN_VARIABLE, secrets.token_urlsafe(24))
    database.parent.mkdir(parents=True, exist_ok=True)
    argv = [
        *(sys.executable, "-m", "reference_service", "--host", "127.0.0.1", "--port", "0"),
        *("--database", str(database), "--link-range", LINK_RANGE, "--exit-on-stdin-eof"),
        *("--degradation", "on" if settings.get("degradation", True) else "off"),
        *("--answer-delay-ms", str(settings.get("answer_delay_ms", 0))),
        *("--lose-every-nth-answer", str(settings.get("lose_every_nth_answer", 0))),
    ]
    child = spawn("the reference service", argv, log_path=log_path, pipe_stdout=True)
    try:
        ready = child.wait_ready(READY_TIMEOUT_S)
    except BaseException:
        child.stop()
        raise
    return child, str(ready["url"])

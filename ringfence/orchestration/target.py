"""The calling service that a run calls: one that already runs, or our own reference service."""

from __future__ import annotations

import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import EnvironmentLacks, TargetUnreachable
from network_profiles.lab import LINK_RANGE
from ringfence.plan import PlanFile

ADMIN_TOKEN_VARIABLE = "RINGFENCE_ADMIN_TOKEN"
READY_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the calls go."""

    url: str
    admin_token: str
    process: ChildProcess | None
    """The service, when we started it; None when it was running before us."""


def start_target(plan: PlanFile, *, database: Path, log_path: Path, host: str = "127.0.0.1", port: int = 0) -> Target:
    """Returns the plan's target, started if it is our own, answering its health check.

    Raises TargetUnreachable when a named service does not answer, EnvironmentLacks when our own does not start.
    """
    if plan.target.url:
        token = os.environ.get(ADMIN_TOKEN_VARIABLE, "")
        if not token:
            raise EnvironmentLacks(
                f"the plan names a target, {plan.target.url}, and {ADMIN_TOKEN_VARIABLE} is not set",
                hint="export the service's admin token: it seeds the people who place the calls",
            )
        check_health(plan.target.url)
        return Target(plan.target.url, token, None)
    token = secrets.token_urlsafe(24)
    argv = [
        sys.executable, "-m", "reference_service",
        "--host", host, "--port", str(port), "--database", str(database),
        "--link-range", LINK_RANGE,
        "--no-answer-s", str(plan.service.no_answer_s),
        "--degradation", "on" if plan.service.degradation else "off",
        "--answer-delay-ms", str(plan.service.answer_delay_ms),
        "--lose-every-nth-answer", str(plan.service.lose_every_nth_answer),
    ]  # fmt: skip
    process = spawn(
        "reference_service",
        argv,
        log_path=log_path,
        env={ADMIN_TOKEN_VARIABLE: token},
        pipe_stdout=True,
        death_signal="TERM",
    )
    try:
        ready = process.wait_ready(READY_TIMEOUT_S)
        check_health(ready["url"])
    except BaseException:
        process.stop()
        raise
    return Target(ready["url"], token, process)


def check_health(url: str, timeout_s: float = 5.0) -> dict[str, object]:
    """Returns what ``GET /health`` says. Raises TargetUnreachable."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=timeout_s) as response:
            health: dict[str, object] = json.load(response)
            return health
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TargetUnreachable(
            f"the calling service at {url} does not answer: {reason}",
            hint="start it, or leave out target.url to use the reference service",
        ) from None

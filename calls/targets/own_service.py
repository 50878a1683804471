"""Starts the reference service as a child process: for the swarm, the matrix, a whole run, and by hand.

Uses neither asyncio nor threads, so it works in Locust's patched processes, too.
"""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from bedrock.child_process import ChildProcess, spawn
from bedrock.environment_input import secret
from bedrock.project import PROJECT_ROOT
from calls.targets.admin_api import TOKEN_VARIABLE, AdminApi
from network_profiles.links.addresses import LINK_RANGE

READY_S = 120.0


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """The service's behaviour: the ``[service]`` table of a plan."""

    degradation: bool = True
    """Whether its clients give up video, then bitrate, on a poor network."""
    answer_delay_ms: int = 0
    lose_every_nth_answer: int = 0
    no_answer_s: float = 30.0


@dataclass(frozen=True, slots=True)
class OwnService:
    """A running reference service that the caller must stop."""

    url: str
    admin_token: str
    process: ChildProcess


def start_own_service(
    database: Path, log_path: Path, settings: ServiceSettings | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> OwnService:
    """Starts the service, on a free port unless one is given, and returns it when its health check succeeds.

    The admin token comes from the environment, or is generated. The service ends with us. Raises EnvironmentLacks when
    it does not start.
    """
    settings = settings or ServiceSettings()
    token = secret(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    database = database.absolute()
    database.parent.mkdir(parents=True, exist_ok=True)
    argv = [
        sys.executable, "-m", "reference_service",
        "--host", host, "--port", str(port), "--exit-on-stdin-eof",
        "--database", str(database),
        "--link-range", LINK_RANGE,
        "--no-answer-s", f"{settings.no_answer_s:g}",
        "--degradation", "on" if settings.degradation else "off",
        "--answer-delay-ms", str(settings.answer_delay_ms),
        "--lose-every-nth-answer", str(settings.lose_every_nth_answer),
    ]  # fmt: skip
    process = spawn(
        "the reference service",
        argv,
        log_path=log_path.absolute(),
        env={TOKEN_VARIABLE: token},
        cwd=PROJECT_ROOT,
        pipe_stdout=True,
        death_signal="TERM",
    )
    try:
        url = str(process.wait_ready(READY_S)["url"])
        AdminApi(url).health()
    except BaseException:
        process.stop()
        raise
    return OwnService(url, token, process)

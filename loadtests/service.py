"""The target: one that is named, or the reference service started as a process of our own; and its admin API."""

from __future__ import annotations

import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import EnvironmentLacks, TargetUnreachable
from loadtests.plan import ServiceTable

TOKEN_VARIABLE = "RINGFENCE_ADMIN_TOKEN"
READY_S = 20.0
ANSWER_S = 30.0
PROJECT = Path(__file__).parent.parent


class Target:
    """A calling service with the reference service's admin API. ``stop`` ends it if we started it."""

    def __init__(self, url: str, token: str, process: ChildProcess | None = None) -> None:
        self.url = url.rstrip("/")
        self.kind = "reference"
        self._token = token
        self._process = process

    @property
    def is_ours(self) -> bool:
        """Whether we started it, and have to end it."""
        return self._process is not None

    def is_running(self) -> bool:
        """Whether the process that we started still runs; True for a service that is not ours."""
        return self._process is None or self._process.is_running()

    def check_health(self) -> dict[str, Any]:
        """Returns what ``GET /health`` says. Raises TargetUnreachable when nothing answers as our service does."""
        return self._request("GET", "/health", None)

    def seed(self, accounts: dict[str, list[object]]) -> None:
        """Makes the accounts and who follows whom. Raises TargetUnreachable when the service refuses."""
        self._request("POST", "/admin/seed", accounts)

    def stop(self) -> None:
        """Ends the service if it is ours."""
        if self._process is not None:
            self._process.stop()

    def _request(self, method: str, path: str, body: object) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            error.close()
            hint = f"does {TOKEN_VARIABLE} hold the service's admin token?" if error.code in (401, 403) else ""
            raise TargetUnreachable(f"{self.url} answers {path} with HTTP {error.code}", hint=hint) from None
        except (OSError, ValueError) as error:
            cause = getattr(error, "reason", error)
            raise TargetUnreachable(f"the target {self.url} does not answer: {cause}") from None
        if not isinstance(answer, dict):
            raise TargetUnreachable(f"{self.url} answers {path} with something that is not the reference service")
        return answer


def named_target(url: str) -> Target:
    """Returns the target at ``url``. Raises EnvironmentLacks when its admin token is not in the environment."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise EnvironmentLacks(
            f"no admin token for {url}: the swarm cannot make its people there",
            hint=f"set {TOKEN_VARIABLE} to the token that the service was started with",
        )
    return Target(url, token)


def start_reference_service(run_folder: Path, table: ServiceTable) -> Target:
    """Starts the reference service on a free loopback port. Raises EnvironmentLacks when it does not become ready."""
    token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    process = spawn(
        "the reference service",
        [
            sys.executable, "-m", "reference_service",
            "--host", "127.0.0.1", "--port", "0", "--exit-on-stdin-eof",
            "--database", str((run_folder / "service.db").absolute()),
            "--no-answer-s", f"{table.no_answer_s:g}",
            "--degradation", "on" if table.degradation else "off",
            "--answer-delay-ms", str(table.answer_delay_ms),
            "--lose-every-nth-answer", str(table.lose_every_nth_answer),
        ],
        log_path=run_folder / "logs" / "service.log", env={TOKEN_VARIABLE: token}, cwd=PROJECT, pipe_stdout=True,
    )  # fmt: skip
    try:
        ready = process.wait_ready(READY_S)
        return Target(str(ready["url"]), token, process)
    except BaseException:
        process.stop()
        raise

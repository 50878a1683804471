"""The target of a swarm: one that is named, or the reference service as a process of our own."""

from __future__ import annotations

from pathlib import Path

from bedrock.child_process import ChildProcess
from bedrock.environment_input import secret
from bedrock.errors import EnvironmentLacks
from calls.targets.admin_api import TOKEN_VARIABLE, AdminApi
from calls.targets.own_service import ServiceSettings, start_own_service
from loadtests.plan.swarm_plan import ServiceTable


class SwarmTarget:
    """A calling service with the reference service's admin API. ``stop`` ends it if we started it."""

    def __init__(self, url: str, token: str, process: ChildProcess | None = None) -> None:
        self.url = url.rstrip("/")
        self.kind = "reference"
        self.admin = AdminApi(self.url, token)
        self._process = process

    @property
    def is_ours(self) -> bool:
        """Whether we started it, and have to end it."""
        return self._process is not None

    def is_running(self) -> bool:
        """Whether the process that we started still runs; True for a service that is not ours."""
        return self._process is None or self._process.is_running()

    def stop(self) -> None:
        """Ends the service if it is ours."""
        if self._process is not None:
            self._process.stop()


def named_target(url: str) -> SwarmTarget:
    """Returns the target at ``url``, which answers its health check.

    Raises EnvironmentLacks when its admin token is not in the environment, TargetUnreachable when it does not answer.
    """
    token = secret(TOKEN_VARIABLE)
    if not token:
        raise EnvironmentLacks(
            f"no admin token for {url}: the swarm cannot make its people there",
            hint=f"set {TOKEN_VARIABLE} to the token that the service was started with",
        )
    target = SwarmTarget(url, token)
    target.admin.health()
    return target


def own_target(run_folder: Path, table: ServiceTable) -> SwarmTarget:
    """Starts the reference service on a free loopback port. Raises EnvironmentLacks when it does not become ready."""
    settings = ServiceSettings(**table.model_dump())
    service = start_own_service(run_folder / "service.db", run_folder / "logs" / "service.log", settings)
    return SwarmTarget(service.url, service.admin_token, service.process)

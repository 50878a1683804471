"""Finds the calling service of a run: one that a plan or a command names, or the reference service, started here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedrock.child_process import ChildProcess
from bedrock.environment_input import secret
from bedrock.errors import EnvironmentLacks
from calls.targets.admin_api import TOKEN_VARIABLE, AdminApi
from calls.targets.own_service import ServiceSettings, start_own_service
from calls.targets.trust import trust


@dataclass(frozen=True, slots=True)
class RunningTarget:
    """A calling service that answered its health check. ``stop`` ends it if we started it."""

    url: str
    admin_token: str
    process: ChildProcess | None = None
    """The service, when we started it. None when it was running before us."""

    @property
    def admin(self) -> AdminApi:
        """The client of the service's admin API."""
        return AdminApi(self.url, self.admin_token)

    @property
    def is_ours(self) -> bool:
        """Whether we started it, and have to end it."""
        return self.process is not None

    def is_running(self) -> bool:
        """Whether the process that we started still runs. True for a service that is not ours."""
        return self.process is None or self.process.is_running()

    def stop(self) -> None:
        """Ends the service if we started it, within 10 s."""
        if self.process is not None:
            self.process.stop(timeout_s=10)


def connect_to_target(url: str, ca_file: str = "") -> RunningTarget:
    """Returns the service at ``url``, which answers its health check.

    ``ca_file`` is a PEM file with its certificate, empty when the system trusts it. Raises EnvironmentLacks when the
    admin token is not in the environment, TargetUnreachable when the service does not answer.
    """
    token = secret(TOKEN_VARIABLE)
    if not token:
        raise EnvironmentLacks(
            f"no admin token for {url}: the users who place the calls cannot be made there",
            hint=f"set {TOKEN_VARIABLE} to the token that the service was started with",
        )
    if ca_file:
        trust(Path(ca_file))
    target = RunningTarget(url.rstrip("/"), token)
    target.admin.health()
    return target


def start_target(
    database: Path, log_path: Path, settings: ServiceSettings, *, host: str = "127.0.0.1", port: int = 0
) -> RunningTarget:
    """Starts the reference service, by default on a free loopback port.

    Raises EnvironmentLacks when it does not become ready.
    """
    service = start_own_service(database, log_path, settings, host=host, port=port)
    return RunningTarget(service.url, service.admin_token, service.process)

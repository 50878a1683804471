"""The calling service that a run calls: one that already runs, or our own reference service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedrock.child_process import ChildProcess
from bedrock.environment_input import secret
from bedrock.errors import EnvironmentLacks, TargetUnreachable
from calls.errors import TlsFailed
from calls.targets.admin_api import TOKEN_VARIABLE, AdminApi
from calls.targets.own_service import ServiceSettings, start_own_service
from calls.targets.trust import trust
from ringfence.run_plan import PlanFile


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
        token = secret(TOKEN_VARIABLE)
        if not token:
            raise EnvironmentLacks(
                f"the plan names a target, {plan.target.url}, and {TOKEN_VARIABLE} is not set",
                hint="export the service's admin token: it seeds the people who place the calls",
            )
        if plan.target.ca_file:
            trust(Path(plan.target.ca_file))
        try:
            AdminApi(plan.target.url).health()
        except TargetUnreachable as error:
            if isinstance(error, TlsFailed):
                raise
            hint = error.hint or "start it, or leave out target.url to use the reference service"
            raise TargetUnreachable(error.message, hint=hint) from None
        return Target(plan.target.url, token, None)
    settings = ServiceSettings(**plan.service.model_dump())
    service = start_own_service(database, log_path, settings, host=host, port=port)
    return Target(service.url, service.admin_token, service.process)

"""Opens the calling service of a plan: the one that it names, or the reference service."""

from __future__ import annotations

from pathlib import Path

from bedrock.errors import TargetUnreachable
from calls.errors import TlsFailed
from calls.targets.own_service import ServiceSettings
from calls.targets.running_target import RunningTarget, connect_to_target, start_target
from ringfence.run_plan import PlanFile


def open_target(plan: PlanFile, *, database: Path, log_path: Path, port: int = 0) -> RunningTarget:
    """Returns the plan's target, started if it is our own, answering its health check.

    Raises TargetUnreachable when a named service does not answer, EnvironmentLacks when our own does not start.
    """
    if not plan.target.url:
        return start_target(database, log_path, ServiceSettings(**plan.service.model_dump()), port=port)
    try:
        return connect_to_target(plan.target.url, plan.target.ca_file)
    except TlsFailed:
        raise
    except TargetUnreachable as error:
        hint = error.hint or "start it, or leave out target.url to use the reference service"
        raise TargetUnreachable(error.message, hint=hint) from None

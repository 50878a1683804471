"""``ringfence serve``: starts the reference service alone, with three users to try it with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, validators
from rich.console import Console

from bedrock import crash
from bedrock.errors import ChildCrashed, EnvironmentLacks, InputError, Problem
from bedrock.exit_codes import ExitCode
from bedrock.input_file import name_problem
from calls.targets.running_target import RunningTarget
from loadtests.plan.swarm_plan import ServiceTable
from ringfence.errors import ChildDied
from ringfence.orchestration.signals import handle_end_signals, ignore_end_signals
from ringfence.orchestration.target import open_target
from ringfence.run_plan import PlanFile

DEMO_PEOPLE = {"ada": "Ada Park", "ben": "Ben Okoye", "cleo": "Cleo Marsh"}


def serve(
    *,
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))] = 8086,
    database: Path = Path("runs/service.sqlite"),
    degradation: bool = True,
) -> int:
    """Start the reference calling service on loopback, with three users who follow each other, until Ctrl-C.

    Exit codes: 130 after Ctrl-C, 5 a prerequisite is missing, 70 the service crashed.

    Parameters
    ----------
    port
        TCP port; 0 for any free port.
    database
        SQLite file with messages and call logs. It is kept for the next start.
    degradation
        Whether its web client turns off video, then lowers the audio bitrate, on a poor network.
    """
    if problem := name_problem(str(database)):
        raise InputError([Problem("--database", "", problem)])
    handle_end_signals()
    console = Console(highlight=False)
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentLacks(f"the folder of {database} cannot be made: {error.strerror}") from None
    plan = PlanFile(name="serve", service=ServiceTable(degradation=degradation))
    log = database.with_suffix(".log")
    target = open_target(plan, database=database, log_path=log, port=port)
    try:
        seed_demo_people(target)
        console.print(f"the calling service answers at [bold]{target.url}[/]")
        console.print("sign in as: " + ", ".join(f"{name} (password {name})" for name in DEMO_PEOPLE))
        console.print("[dim]Ctrl-C ends it[/]")
        if target.process is not None:
            code = target.process.popen.wait()
            if code != ExitCode.PASS:
                died = ChildCrashed if code == ExitCode.CRASHED else ChildDied
                raise died(f"the calling service {crash.describe_exit(code, target.process.pid)}", hint=f"see {log}")
    finally:
        with ignore_end_signals():
            target.stop()
    return ExitCode.PASS


def seed_demo_people(target: RunningTarget) -> None:
    """Makes the demo users, who all follow each other."""
    names = list(DEMO_PEOPLE)
    body: dict[str, list[Any]] = {
        "users": [
            {"name": name, "display_name": title, "password": name, "controls": "following"}
            for name, title in DEMO_PEOPLE.items()
        ],
        "follows": [[one, other] for one in names for other in names if one != other],
    }
    target.admin.seed(body)

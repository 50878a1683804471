"""What must be there before the first user is started: plan, run folder, target, accounts, and who does what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locust.runners import MasterRunner, WorkerNode

from bedrock.clock import Clock
from bedrock.errors import EnvironmentLacks
from calls.targets.own_service import ServiceSettings
from calls.targets.running_target import RunningTarget, connect_to_target, start_target
from loadtests.people.population import accounts
from loadtests.plan.overrides import PlanOverrides
from loadtests.plan.swarm_plan import find_plan, limits_of, load_plan, slo_reference
from loadtests.records.machine import network_id
from loadtests.records.receive import leave_mark
from loadtests.records.run_folder import SwarmFolder, default_path, open_folder
from loadtests.wire.run_spec import LOCAL, RunSpec


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that can start."""

    plan_name: str
    spec: RunSpec
    folder: SwarmFolder
    target: RunningTarget


def prepare_run(
    plan_name: str,
    changes: PlanOverrides,
    target_url: str,
    run_folder: str,
    runner: Any,
    our_service: RunningTarget | None,
    clock: Clock,
) -> PreparedRun:
    """Reads and changes the plan, opens the run folder, finds or starts the target, and makes its people there.

    ``our_service`` is one that an earlier run of this process has started. Raises RingfenceError with the sentence for
    the user; nothing is left running that was not before.
    """
    plan = changes.apply(load_plan(plan_name))
    limits = limits_of(plan, find_plan(plan_name))
    slots = slots_of(runner)
    now_s = clock.unix_s()
    path = Path(run_folder) if run_folder else default_path(now_s)
    if target_url:
        target = connect_to_target(target_url)
    elif our_service is not None and our_service.is_running():
        target = our_service
    else:
        settings = ServiceSettings(**plan.service.model_dump())
        target = start_target(path / "service.db", path / "logs" / "service.log", settings)
    try:
        folder = open_folder(path, plan, plan.name, target.url, now_s)
        spec = RunSpec(
            run_id=folder.run_id,
            run_folder=folder.path.absolute(),
            target_kind="reference",
            target_url=target.url,
            seed=plan.seed,
            plan=plan.swarm,
            no_answer_s=plan.service.no_answer_s,
            setup_limit_s=limits.setup_limit_s,
            gap_limit_ms=limits.gap_limit_ms,
            slo=slo_reference(plan, find_plan(plan_name)),
            disk_mark=leave_mark(folder.path),
            network=network_id(),
            slots=slots,
        )
        target.admin.seed(accounts(spec.population()))
    except BaseException:
        if target is not our_service:
            target.stop()
        raise
    return PreparedRun(plan.name, spec, folder, target)


def slots_of(runner: Any) -> dict[str, int]:
    """Returns a slot for every worker, in the order in which Locust deals out users."""
    if not isinstance(runner, MasterRunner):
        return {LOCAL: 0}
    nodes = [*runner.clients.ready, *runner.clients.running, *runner.clients.spawning]
    if not nodes:
        raise EnvironmentLacks("no worker is connected", hint="start one: locust -f loadtests/locustfile.py --worker")
    return {node.id: slot for slot, node in enumerate(dealing_order(nodes))}


def dealing_order(nodes: list[WorkerNode]) -> list[WorkerNode]:
    """Returns workers as Locust's dispatcher goes round them: the first of every host, then the second."""
    seen: dict[str, int] = {}
    keyed = []
    for node in sorted(nodes, key=lambda node: node.id):
        host = node.id.split("_")[0]
        keyed.append((seen.get(host, 0), node.id, node))
        seen[host] = seen.get(host, 0) + 1
    return [node for _rank, _id, node in sorted(keyed, key=lambda item: item[:2])]

"""Master, workers and service on machines of their own: the recipe of deploy/README.md, with real namespaces."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import three_machines
from swarm_process import Swarm, swarm_in, write_plan
from three_machines import Machine

pytestmark = [
    pytest.mark.patient,
    pytest.mark.integration,
    pytest.mark.skipif(bool(three_machines.lacks()), reason=three_machines.lacks()),
]
TOKEN = {"RINGFENCE_ADMIN_TOKEN": "a-token-of-this-test"}


def start_service(swarm: Swarm, machine: Machine) -> str:
    """Starts the reference service on a machine's own address. Returns its URL."""
    command = [
        "-m",
        "reference_service",
        "--host",
        machine.address,
        "--link-range",
        f"{three_machines.NET}.0/24",
        "--port",
        "8086",
        "--database",
    ]
    process = swarm.start_command(
        [*machine.enter, sys.executable, *command, str(swarm.folder / "service.db")], env=TOKEN, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout as told:
        return str(json.loads(told.readline())["url"])


def test_workers_on_machines_of_their_own_send_media_and_records(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm, three_machines.three_machines() as (first, second, third):
        plan = write_plan(tmp_path, calls=6, people=40)
        swarm.run.mkdir()
        for machine in (second, third):
            machine.hide(str(swarm.run))
        swarm.start(
            "--master", "--headless", "--only-summary", "--expect-workers", "2", "--master-bind-host", first.address,
            "--plan", str(plan), "--run-folder", str(swarm.run), "--target", f"http://{third.address}:8086",
            enter=first.enter, env=TOKEN,
        )  # fmt: skip
        assert start_service(swarm, third) == f"http://{third.address}:8086"
        for machine in (second, third):
            swarm.start("--worker", "--master-host", first.address, enter=machine.enter)
        swarm.wait_for(lambda one: one["stage"] == "hold" and one["completed"] >= 6)
        swarm.master.send_signal(signal.SIGUSR1)
        assert swarm.wait() == 0

        end, legs = swarm.seconds()[-1], swarm.legs()
        by_worker = {
            slot: len([leg for leg in legs if leg["writer"] == f"swarm-{slot}" and leg["side"] == "caller"])
            for slot in end["started_by_worker"]
        }
        assert by_worker == end["started_by_worker"], "every record of a machine without our disk has come"
        across = {leg["call_id"] for leg in legs if leg["writer"] == "swarm-0"} & {
            leg["call_id"] for leg in legs if leg["writer"] == "swarm-1"
        }
        assert [leg for leg in legs if leg["call_id"] in across and leg["packets_received"] > 50], "media went across"
        assert swarm.faults() == []
        assert {path.name for path in (swarm.run / "logs").glob("engine-*.log")} == {
            "engine-swarm-0.log", "engine-swarm-1.log",
        }  # fmt: skip
        assert not list(swarm.run.glob("*/.*.part"))


def test_a_worker_that_cannot_reach_the_masters_own_service_says_so(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm, three_machines.three_machines() as (first, second, _third):
        swarm.start(
            "--master", "--headless", "--only-summary", "--expect-workers", "1", "--master-bind-host", first.address,
            "--plan", str(write_plan(tmp_path)), "--run-folder", str(swarm.run),
            enter=first.enter,
        )  # fmt: skip
        swarm.start("--worker", "--master-host", first.address, enter=second.enter)
        assert swarm.wait() == 5
        assert "on the master's loopback, which this machine cannot reach" in swarm.log()
        assert "Traceback" not in swarm.log()

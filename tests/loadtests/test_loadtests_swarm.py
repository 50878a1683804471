"""The swarm for real: Locust processes, engines, the reference service, and the records they leave."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
from pathlib import Path

import psutil
import pytest
from swarm_process import Swarm, free_port, swarm_in, write_plan
from waiting import HANG_LIMIT_S, eventually

pytestmark = [pytest.mark.patient, pytest.mark.integration]


def calls_without_both_legs(swarm: Swarm) -> list[str]:
    """Calls that rang somebody and of which a leg is missing."""
    sides: dict[str, set[str]] = {}
    for leg in swarm.legs():
        sides.setdefault(leg["call_id"], set()).add(leg["side"])
    unanswered = {leg["call_id"] for leg in swarm.legs() if leg["outcome"] in ("busy", "blocked")}
    return [call_id for call_id, seen in sides.items() if seen != {"caller", "callee"} and call_id not in unanswered]


def test_a_drain_keeps_every_record_of_two_workers(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm:
        swarm.start_distributed(write_plan(tmp_path, calls=8, people=60))
        swarm.wait_for(lambda second: second["stage"] == "hold" and second["completed"] >= 4)
        swarm.master.send_signal(signal.SIGUSR1)
        assert swarm.wait() == 0
        assert [worker.wait(HANG_LIMIT_S) for worker in swarm.processes[1:]] == [0, 0]
        end = swarm.seconds()[-1]
        assert end["event"] == "end"
        assert end["interrupted"] is False
        assert end["calls_active"] == 0
        legs = swarm.legs()
        assert len([leg for leg in legs if leg["side"] == "caller"]) == end["started"] > 8
        assert calls_without_both_legs(swarm) == []
        assert {leg["writer"] for leg in legs} == {"swarm-0", "swarm-1"}
        across = {(leg["call_id"], leg["writer"]) for leg in legs}
        assert len(across) > end["started"], "no call went from one worker's people to the other's"
        assert end["messages_ok"] > 0
        assert swarm.faults() == []
        manifest = json.loads((swarm.run / "manifest.json").read_text())
        assert manifest["ended_at_s"] > manifest["started_at_s"]


def test_killed_workers_and_engines_are_counted_and_the_rest_carries_on(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm:
        swarm.start_distributed(write_plan(tmp_path, calls=9, people=60, probes=1), workers=3)
        swarm.wait_for(lambda one: one["stage"] == "hold" and one["completed"] >= 2 and one["calls_active"] >= 6)
        engine_of_killed = swarm.engine_of(swarm.processes[1])
        swarm.processes[1].kill()
        swarm.engine_of(swarm.processes[2]).kill()
        lost = swarm.wait_for(lambda second: second["workers_lost"] == 1 and second["starts_dropped"] > 0)
        engine_of_killed.wait(HANG_LIMIT_S)
        swarm.wait_for(lambda second: second["started"] > lost["started"])
        swarm.master.send_signal(signal.SIGINT)
        assert swarm.wait() == 130
        assert sorted(fault["what"] for fault in swarm.faults()) == ["engine_lost", "worker_lost"]
        assert {fault["severity"] for fault in swarm.faults()} == {"invalid"}
        end = swarm.seconds()[-1]
        assert (end["event"], end["interrupted"]) == ("end", True)
        assert end["completed"] + end["failed"] + end["other"] == end["started"], "every start has an end, if only lost"
        assert end["failed"] > 0, "the calls that died with a worker and with an engine"
        # How many records stand against them is not certain to the last: the last second of the killed is anybody's.
        assert any(leg["outcome"] == "completed" for leg in swarm.legs())


def test_one_process_alone_runs_a_plan_and_shows_its_people_their_lists(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm:
        plan = write_plan(tmp_path, people=24, calls=4, visits=12, pasts=(1000, 10_000))
        files = "--run-folder", str(swarm.run), "--csv", str(tmp_path / "locust")
        swarm.start("--headless", "--only-summary", "--plan", str(plan), *files)
        kinds = {"threads", "thread", "calls"}
        swarm.wait_for(lambda one: one["stage"] == "hold" and one["completed"] > 0 and one["lists_ok"] >= 24)
        assert eventually(lambda: {page["look_at"] for page in swarm.records("lists") if page["heavy_past"]} == kinds)
        swarm.master.send_signal(signal.SIGUSR1)
        assert swarm.wait() == 0
        end = swarm.seconds()[-1]
        assert end["completed"] > 0
        assert len([leg for leg in swarm.legs() if leg["side"] == "caller"]) == end["started"]
        assert calls_without_both_legs(swarm) == []
        assert (swarm.run / "health").exists()
        lists = swarm.statistics(tmp_path / "locust", "LIST")
        assert end["lists_ok"] == sum(int(row["Request Count"]) for row in lists.values())
        assert end["lists_failed"] == 0
        assert int(lists["threads"]["Request Count"]) >= 14, "everybody looks at sign-in"
        kept = swarm.records("lists")
        assert len(kept) == end["lists_ok"]
        assert all(page["ok"] and page["took_ms"] > 0 for page in kept)
        assert {page["look_at"] for page in kept if page["heavy_past"]} == kinds
        heavy = {name: row for name, row in lists.items() if name.endswith(" (heavy past)")}
        assert set(heavy) == {"threads (heavy past)", "open thread (heavy past)", "missed calls (heavy past)"}
        assert float(heavy["threads (heavy past)"]["Average Content Size"]) > 10_000, "whole pages of a hundred threads"
        assert float(heavy["missed calls (heavy past)"]["Min Response Time"]) > 0
        with sqlite3.connect(swarm.run / "service.db") as service:
            left = dict(service.execute("SELECT unread, count(*) FROM threads WHERE last_seq <= 10000 GROUP BY unread"))
        assert left[1] < 10_000, "somebody has read a thread of ten thousand"


@pytest.mark.parametrize(
    ("arguments", "env", "code", "sentence"),
    [
        (["--plan", "smokee"], {}, 2, "did you mean 'smoke'?"),
        (["--shape", "soak", "--calls", "99", "--people", "20"], {}, 2, "20 people cannot hold 99 calls at once"),
        (["--plan", "default", "--target", "http://127.0.0.1:{closed}"], {"RINGFENCE_ADMIN_TOKEN": "x"}, 5,
         "does not answer: [Errno 111] Connection refused"),
        (["--plan", "default", "--target", "http://127.0.0.1:{closed}"], {"RINGFENCE_ADMIN_TOKEN": ""}, 5,
         "no admin token"),
    ],
)  # fmt: skip
def test_what_cannot_start_says_why(
    tmp_path: Path, arguments: list[str], env: dict[str, str], code: int, sentence: str
) -> None:
    with swarm_in(tmp_path) as swarm, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        filled = [argument.format(closed=port) for argument in arguments]
        swarm.start("--headless", "--run-folder", str(swarm.run), *filled, env=env)
        assert swarm.wait() == code
        assert sentence in swarm.log()
        assert "Traceback" not in swarm.log()
        assert not (swarm.run / "calls").exists()


def test_the_ports_are_bound_to_loopback_only(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm:
        web, bridge = free_port(), free_port()
        swarm.start("--master", "--web-port", str(web), "--master-bind-port", str(bridge))
        worker = swarm.start("--worker", "--master-port", str(bridge))

        def listening() -> set[tuple[str, int]]:
            connections = psutil.Process(swarm.master.pid).net_connections()
            return {one.laddr for one in connections if one.status == psutil.CONN_LISTEN}

        assert eventually(lambda: len(listening()) == 2)
        assert worker.poll() is None
        assert listening() == {("127.0.0.1", web), ("127.0.0.1", bridge)}

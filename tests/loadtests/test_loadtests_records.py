"""No record is lost: workers are killed, stalled and slowed, and the records are counted to the last one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from swarm_process import Swarm, swarm_in, write_plan
from waiting import HANG_LIMIT_S

pytestmark = [pytest.mark.patient, pytest.mark.integration]


def slot_of(swarm: Swarm, worker: subprocess.Popen[bytes]) -> int:
    command = swarm.engine_of(worker).cmdline()
    return int(command[command.index("--writer") + 1].removeprefix("swarm-"))


def slot_of_person(name: str, slots: int) -> int:
    return int(name.split("-")[1]) % slots


@contextlib.contextmanager
def slowed(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Lets a process run a fifth of the time."""
    over = threading.Event()

    def drag() -> None:
        while not over.is_set():
            os.kill(process.pid, signal.SIGSTOP)
            over.wait(0.2)
            os.kill(process.pid, signal.SIGCONT)
            over.wait(0.05)

    thread = threading.Thread(target=drag)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def stall(swarm: Swarm, worker: subprocess.Popen[bytes], lost_before: int) -> None:
    """Stops a worker until the master misses it, and lets it go on."""
    at = len(swarm.seconds())
    os.kill(worker.pid, signal.SIGSTOP)
    swarm.wait_for(lambda second: second["workers_lost"] > lost_before, after=at)
    os.kill(worker.pid, signal.SIGCONT)


def test_every_call_of_a_surviving_worker_has_its_records(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm:
        swarm.start_distributed(write_plan(tmp_path, calls=6, people=39), workers=3)
        swarm.wait_for(lambda second: second["stage"] == "hold" and second["completed"] >= 6)
        killed, stalled, slow = swarm.processes[1:]
        slots = {slot_of(swarm, worker): worker for worker in (killed, stalled, slow)}
        dead, slot_of_stalled, slot_of_slow = (slot_of(swarm, worker) for worker in (killed, stalled, slow))
        killed.kill()
        stall(swarm, stalled, lost_before=1)
        back = len(swarm.seconds())
        swarm.wait_for(lambda second: second["workers_lost"] == 1, after=back)
        with slowed(slow):
            swarm.master.send_signal(signal.SIGUSR1)
            stall(swarm, stalled, lost_before=1)
            assert swarm.wait() == 4, "it ran to its end, and is INVALID"
        assert [slow.wait(HANG_LIMIT_S), stalled.wait(HANG_LIMIT_S)] == [0, 0]

        end, legs = swarm.seconds()[-1], swarm.legs()
        assert end["event"] == "end"
        assert end["completed"] + end["failed"] + end["other"] == end["started"]
        callers = {leg["call_id"]: leg for leg in legs if leg["side"] == "caller"}
        callees = {leg["call_id"]: leg for leg in legs if leg["side"] == "callee"}
        by_writer = Counter(leg["writer"] for leg in callers.values())
        owed = {slot: end["started_by_worker"][str(slot)] for slot in slots}
        print(f"callers' records by worker {dict(by_writer)}, calls started {owed}, worker {dead} was killed")
        for slot in set(slots) - {dead}:
            assert by_writer[f"swarm-{slot}"] == owed[slot] > 0
        lacking = lacking_a_leg(callers, callees, dead, surely_written_until_s(swarm, dead))
        print(f"{len(legs)} legs of {len(callers.keys() | callees.keys())} calls, {len(lacking)} lacking a leg")
        assert lacking == []
        assert [leg for leg in legs if leg["writer"] == f"swarm-{dead}"], "what the dead one had written is kept"
        told = Counter((fault["what"], int(fault["detail"].split()[1])) for fault in swarm.faults())
        away, back_again = (
            Counter({slot: told[what, slot] for slot in slots}) for what in ("worker_lost", "worker_back")
        )
        assert set(told) <= {(what, slot) for what in ("worker_lost", "worker_back") for slot in slots}
        assert (away[dead], back_again[dead]) == (1, 0)
        assert away[slot_of_stalled] == back_again[slot_of_stalled] >= 2
        assert away[slot_of_slow] == back_again[slot_of_slow], "so slow that it was missed, it is back"


def surely_written_until_s(swarm: Swarm, dead: int) -> float:
    """Whatever had ended by then had two more flushes of its engine to get to disk, one a second on an idle machine."""
    flushes = sorted(path.stat().st_mtime for path in (swarm.run / "health").glob(f"swarm-{dead}-*.parquet"))
    return flushes[-3] if len(flushes) >= 3 else 0.0


def lacking_a_leg(
    callers: dict[str, Any], callees: dict[str, Any], dead: int, written_until_s: float
) -> list[tuple[str, str]]:
    """Calls of which the leg of a survivor is missing, or the dead worker's though it was over well before."""
    lacking = []
    for call_id in callers.keys() | callees.keys():
        known = callers.get(call_id) or callees[call_id]
        for side, here, person in (
            ("caller", callers, known["person"] if known["side"] == "caller" else known["peer"]),
            ("callee", callees, known["peer"] if known["side"] == "caller" else known["person"]),
        ):
            if call_id in here or (side == "callee" and known["outcome"] in ("busy", "blocked")):
                continue
            if slot_of_person(person, 3) == dead and (known["ended_at_s"] or 0) > written_until_s:
                continue
            if side == "callee" and known["stage"] == "attempted":
                continue  # nobody was rung
            lacking.append((call_id, side))
    return lacking

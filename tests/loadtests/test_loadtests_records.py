"""No record is lost: workers are killed, stalled and slowed, and the records are counted to the last one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from swarm_process import Swarm, swarm_in, write_plan

pytestmark = [pytest.mark.patient, pytest.mark.integration]
FLUSHED_S = 2.0
"""An engine writes its records once a second; a busy machine may take another."""


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
    swarm.wait_for(lambda second: second["workers_lost"] == lost_before + 1, after=at)
    os.kill(worker.pid, signal.SIGCONT)


def test_every_call_of_a_surviving_worker_has_its_records(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm:
        swarm.start_distributed(write_plan(tmp_path, calls=6, people=39), workers=3)
        swarm.wait_for(lambda second: second["stage"] == "hold" and second["completed"] >= 6)
        killed, stalled, slow = swarm.processes[1:]
        slots = {slot_of(swarm, worker): worker for worker in (killed, stalled, slow)}
        dead = next(slot for slot, worker in slots.items() if worker is killed)
        killed.kill()
        killed_at_s = time.time()
        stall(swarm, stalled, lost_before=1)
        back = len(swarm.seconds())
        swarm.wait_for(lambda second: second["workers_lost"] == 1, after=back)
        with slowed(slow):
            swarm.master.send_signal(signal.SIGUSR1)
            stall(swarm, stalled, lost_before=1)
            assert swarm.wait(90) == 4, "it ran to its end, and is INVALID"
        assert [slow.wait(20), stalled.wait(20)] == [0, 0]

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
        lacking = lacking_a_leg(callers, callees, dead, killed_at_s)
        print(f"{len(legs)} legs of {len(callers.keys() | callees.keys())} calls, {len(lacking)} lacking a leg")
        assert lacking == []
        assert [leg for leg in legs if leg["writer"] == f"swarm-{dead}"], "what the dead one had written is kept"
        told = Counter(fault["what"] for fault in swarm.faults())
        assert told == {"worker_lost": 3, "worker_back": 2}


def lacking_a_leg(
    callers: dict[str, Any], callees: dict[str, Any], dead: int, killed_at_s: float
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
            if slot_of_person(person, 3) == dead and (known["ended_at_s"] or 0) > killed_at_s - FLUSHED_S:
                continue
            if side == "callee" and known["stage"] == "attempted":
                continue  # nobody was rung
            lacking.append((call_id, side))
    return lacking

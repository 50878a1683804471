"""A disk that takes no more: every writer of the swarm says so, none of them falls silent or raises.

``/dev/full`` stands for the disk: whoever writes to it is told that there is no space left.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from waiting import HANG_LIMIT_S

from calls.engine.records.recorder import GIVE_UP_AFTER, Recorder
from calls.records.record import MessageRow
from loadtests.master.live_writer import SwarmLiveWriter
from loadtests.records.fault_log import PIPE, FaultLog, fault_pipe
from loadtests.wire.live_stats import SwarmStats

FULL = "/dev/full"
FAULT: dict[str, Any] = {"at_s": 2.0, "what": "worker_lost", "detail": "worker 1 is gone", "severity": "invalid"}


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def full(path: Path) -> None:
    """Makes a file that takes no byte."""
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(FULL)


def test_a_fault_on_a_full_disk_is_kept_and_goes_through_the_pipe(tmp_path: Path, pipe: tuple[int, int]) -> None:
    full(tmp_path / "faults.jsonl")
    log = FaultLog(tmp_path, fault_pipe({PIPE: str(pipe[1])}))
    log.add(FAULT)
    assert log.faults == [FAULT]
    assert json.loads(os.read(pipe[0], 65536)) == FAULT


def test_a_parent_that_does_not_listen_holds_nobody(tmp_path: Path, pipe: tuple[int, int]) -> None:
    log = FaultLog(tmp_path, fault_pipe({PIPE: str(pipe[1])}))
    for _ in range(2000):
        log.add(FAULT)
    assert len((tmp_path / "faults.jsonl").read_text().splitlines()) == len(log.faults) == 2000


@pytest.mark.parametrize("written", ["", "x", "-1", "99999", "9" * 40])
def test_a_pipe_that_is_none_is_no_pipe(written: str) -> None:
    assert fault_pipe({PIPE: written}) is None
    assert fault_pipe({}) is None


def test_seconds_that_cannot_be_written_are_told_and_do_not_end_the_watch(tmp_path: Path) -> None:
    full(tmp_path / "live" / "swarm.jsonl")
    live = SwarmLiveWriter(tmp_path, SwarmStats())
    live.second(1.0, "ramp")
    assert live.problem == "live/swarm.jsonl cannot be written: No space left on device"
    live.end(2.0, interrupted=False)
    assert len(live.history.points) == 2
    (tmp_path / "live" / "swarm.jsonl").unlink()
    live.second(3.0, "ramp")
    assert live.problem == ""


def row() -> MessageRow:
    return MessageRow(run_id="r", writer="w", at_s=1.0, sender="ann", to="bob", ok=True)


@pytest.mark.parametrize(
    ("number", "told_at"),
    [(errno.ENOSPC, [(1, True)]), (errno.EROFS, [(1, True)]), (errno.EDQUOT, [(1, True)]), (errno.EMFILE, [(1, True)]),
     (errno.EIO, [(1, False), (GIVE_UP_AFTER, True)])],
)  # fmt: skip
async def test_the_engine_tells_once_that_no_record_will_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told_at: list[tuple[int, bool]]
) -> None:
    told: list[tuple[int, bool]] = []
    flushes = 0
    recorder = Recorder(tmp_path, "w", lambda _code, _message, is_over: told.append((flushes, is_over)))

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(pyarrow.parquet, "write_table", refuse)
        recorder.messages.append(row())
        for _ in range(6):
            flushes += 1
            await recorder.flush()
    assert told == told_at
    # What was refused is kept, and is written when there is room again.
    await asyncio.wait_for(recorder.close(), HANG_LIMIT_S)
    assert len(list((tmp_path / "messages").glob("*.parquet"))) == 1

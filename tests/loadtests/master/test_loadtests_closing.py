"""The master waits for a worker that ends slowly, and gives one up that makes no progress."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from hand_clock import HandClock
from waiting import HANG_LIMIT_S

from calls.bridge.closing import MASTER_MARGIN_S
from loadtests.master.worker_pool import LOOK_S, WorkerPool
from loadtests.wire import shutdown_protocol
from loadtests.wire.live_stats import WorkerStats

STEP_S = 26.0


@pytest.fixture(scope="module", autouse=True)
def hub() -> Iterator[None]:
    """gevent's event loop, which no single test owns."""
    gevent.sleep(0)
    yield
    gevent.get_hub().destroy(destroy_loop=True)


class Master:
    """A crew of one worker that has been told to close."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.faults: list[str] = []
        self.progress: list[tuple[Any, ...]] = []
        self.close_was_said = gevent.event.Event()
        self.clients: dict[str, SimpleNamespace] | None = None
        self.crew = WorkerPool(
            self, {"w0": 0}, folder, self.clock,
            lambda what, detail, _severity: self.faults.append(f"{what}: {detail}"),
            lambda *said: self.progress.append(said),
        )  # fmt: skip
        self.ending = gevent.spawn(self.crew.end, HANG_LIMIT_S)
        gevent.sleep(0)
        self.crew.receive_drained(0)
        assert self.close_was_said.wait(HANG_LIMIT_S)

    def send_message(self, message: str, _data: object, _node: str | None = None) -> None:
        if message == shutdown_protocol.CLOSE:
            self.close_was_said.set()

    def still_waits_after(self, seconds: float) -> bool:
        self.clock.now_s += seconds
        self.ending.join(2 * LOOK_S)
        return not self.ending.ready()


def test_a_worker_that_ends_slowly_is_waited_for_while_it_makes_progress(tmp_path: Path) -> None:
    master = Master(tmp_path)
    for left in (3, 2, 1):
        master.crew.receive_closing(0, "hanging up", left, STEP_S)
        master.crew.receive_closing(0, "hanging up", left, STEP_S)
        assert master.still_waits_after(STEP_S + MASTER_MARGIN_S)
    master.crew.receive_final(0, WorkerStats().take_second())
    master.ending.join(HANG_LIMIT_S)
    assert master.ending.successful()
    assert master.faults == []
    assert master.progress == [(0, "hanging up", left, STEP_S) for left in (3, 2, 1)], "each step once"


def test_a_worker_without_progress_is_given_up_with_its_last_word(tmp_path: Path) -> None:
    master = Master(tmp_path)
    master.crew.receive_closing(0, "hanging up", 3, STEP_S)
    assert master.still_waits_after(STEP_S)
    master.crew.receive_closing(0, "hanging up", 3, STEP_S)
    master.clock.now_s += MASTER_MARGIN_S + 1
    master.ending.join(HANG_LIMIT_S)
    assert master.faults == [
        "worker_silent: worker 0 sent no final report: it got no further than 'hanging up', 3 left"
    ]


def test_a_stalled_worker_whose_first_word_is_its_final_report_is_back(tmp_path: Path) -> None:
    master = Master(tmp_path)
    stalled = SimpleNamespace(id="w0", state="missing")
    master.clients = {"w0": stalled}
    master.crew.watch()
    assert [fault.partition(":")[0] for fault in master.faults] == ["worker_lost"]
    assert master.crew.stats.lost_workers == {0}
    master.crew.receive_final(0, WorkerStats().take_second())
    stalled.state = "running"
    master.crew.watch()
    master.ending.join(HANG_LIMIT_S)
    assert master.ending.successful()
    assert [fault.partition(":")[0] for fault in master.faults] == ["worker_lost", "worker_back"]
    assert master.crew.stats.lost_workers == set()

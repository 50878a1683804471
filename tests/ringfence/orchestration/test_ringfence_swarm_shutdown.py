"""A swarm that was told to end is waited for as long as one of its workers makes progress."""

from __future__ import annotations

from typing import Any

from hand_clock import HandClock

from calls.bridge.closing import RUN_MARGIN_S
from loadtests.wire.shutdown_protocol import DRAIN_MARGIN_S
from ringfence.orchestration.swarm_shutdown import SwarmShutdown


def overdue_after(end: SwarmShutdown, clock: HandClock, seconds: float) -> bool:
    clock.now_s += seconds
    return end.is_overdue


def line(worker: int, left: int, step: str = "hanging up") -> dict[str, Any]:
    return {"event": "closing", "worker": worker, "step": step, "left": left, "limit_s": 20.0}


def test_calls_have_as_long_as_the_plan_says() -> None:
    clock = HandClock()
    end = SwarmShutdown(clock, 300.0)
    assert not overdue_after(end, clock, 300.0 + DRAIN_MARGIN_S + RUN_MARGIN_S)
    assert overdue_after(end, clock, 1.0)
    assert end.in_words() == "no worker began to end"


def test_one_worker_that_makes_progress_is_enough() -> None:
    clock = HandClock()
    end = SwarmShutdown(clock, 0.0)
    end.hear(line(0, 9))
    for left in (5, 4, 3):
        end.hear(line(1, left))
        assert not overdue_after(end, clock, 20.0 + RUN_MARGIN_S)
    end.hear(line(0, 9))
    assert overdue_after(end, clock, 1.0)
    assert "worker 1: it got no further than 'hanging up', 3 left" in end.in_words()

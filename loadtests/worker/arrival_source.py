"""One worker's part of the load: which calls are wanted when."""

from __future__ import annotations

import random
from typing import Any

from loadtests.arrivals.arrivals import Arrival, Arrivals, Line
from loadtests.arrivals.load_line import FixedLine, Move, SteeredLine, planned_calls
from loadtests.plan.call_mix import CallKinds
from loadtests.wire.run_spec import SwarmJob


class OpenLoad:
    """The intended calls of one worker. Times are seconds since the load began."""

    def __init__(self, job: SwarmJob, slot: int) -> None:
        plan = job.plan
        share = 1 / len(job.slots)
        self._steered = SteeredLine(share) if plan.is_stepwise else None
        line: Line = self._steered or FixedLine(planned_calls(plan, share))
        patience = plan.patience_s.patience() if plan.patience_s is not None else None
        rng = random.Random(f"arrivals {job.seed} {slot}")
        self._arrivals = Arrivals(line, job.occupancy(), CallKinds(plan.scenarios, patience), rng)

    def due(self, now_s: float) -> list[Arrival]:
        """Returns the calls whose moment has come by ``now_s`` and that were not returned before."""
        return self._arrivals.due(now_s)

    def next_at_s(self, now_s: float) -> float:
        """Returns when to ask again."""
        return self._arrivals.next_at_s(now_s)

    def steer(self, elapsed_s: float, wire: dict[str, Any]) -> None:
        """Takes the master's word for the level from now on. Nothing happens to a load that is known in full."""
        if self._steered is not None:
            calls, move_s = float(wire["concurrent_calls"]), float(wire["move_s"])
            self._steered.move(Move(elapsed_s, move_s, calls, str(wire["scenario"])))

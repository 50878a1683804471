"""One worker's part of the load: which calls are wanted when."""

from __future__ import annotations

import random
from typing import Any

from loadtests.arrivals.arrivals import Arrival, Arrivals, LoadLine
from loadtests.arrivals.load_line import AdjustableLoadLine, FixedLoadLine, LevelChange, planned_calls
from loadtests.plan.call_mix import CallMix
from loadtests.wire.run_spec import RunSpec


class ArrivalSource:
    """The intended calls of one worker. Times are seconds since the load began."""

    def __init__(self, spec: RunSpec, slot: int) -> None:
        plan = spec.plan
        share = 1 / len(spec.slots)
        self._adjustable = AdjustableLoadLine(share) if plan.is_stepwise else None
        line: LoadLine = self._adjustable or FixedLoadLine(planned_calls(plan, share))
        patience = plan.patience_s.patience() if plan.patience_s is not None else None
        rng = random.Random(f"arrivals {spec.seed} {slot}")
        self._arrivals = Arrivals(line, spec.occupancy(), CallMix(plan.scenarios, patience), rng)

    def due(self, now_s: float) -> list[Arrival]:
        """Returns the calls whose moment has come by ``now_s`` and that were not returned before."""
        return self._arrivals.due(now_s)

    def next_due_s(self, now_s: float) -> float:
        """Returns when to ask again."""
        return self._arrivals.next_due_s(now_s)

    def set_level(self, elapsed_s: float, wire: dict[str, Any]) -> None:
        """Takes the master's word for the level from now on. Nothing happens to a load that is known in full."""
        if self._adjustable is not None:
            calls, move_s = float(wire["concurrent_calls"]), float(wire["move_s"])
            self._adjustable.change_level(LevelChange(elapsed_s, move_s, calls, str(wire["scenario"])))

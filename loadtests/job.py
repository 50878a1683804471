"""What the master tells every worker before the first user is started. It travels with Locust's own options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.arrivals import Level
from loadtests.occupancy import Occupancy, occupancy_of
from loadtests.personas import load_personas
from loadtests.plan import SwarmPlan
from loadtests.population import Population, populate

LOCAL = "local"
"""Client id of the one worker of a run without workers."""
OPTION = "ringfence_job"
"""Key of the job among Locust's parsed options: keys that Locust does not know are sent to the workers as they are."""


@dataclass(frozen=True, slots=True)
class SwarmJob:
    """One run, as master and workers agree on it."""

    run_id: str
    run_folder: Path
    target_kind: str
    target_url: str
    seed: int
    plan: SwarmPlan
    no_answer_s: float
    setup_limit_s: float
    gap_limit_ms: float
    slots: dict[str, int]
    """Which part of the people each worker signs in, by Locust's client id."""

    def population(self) -> Population:
        """Returns the people of the run: the same in every process."""
        book = load_personas()
        plan = self.plan
        return populate(plan.people, plan.probe_calls, book.mixes[plan.mix], book, len(self.slots), self.seed)

    def occupancy(self) -> Occupancy:
        """Returns how long a call of this plan keeps its people busy."""
        book = load_personas()
        return occupancy_of(self.plan.talk_s.talk_time(), book.mixes[self.plan.mix], book, self.no_answer_s)

    def levels(self) -> list[Level]:
        """Returns the stages of the plan."""
        return [Level(stage.duration_s, stage.concurrent_calls) for stage in self.plan.stages]

    def to_wire(self) -> dict[str, Any]:
        """Returns plain values for msgpack."""
        return {
            "run_id": self.run_id,
            "run_folder": str(self.run_folder),
            "target_kind": self.target_kind,
            "target_url": self.target_url,
            "seed": self.seed,
            "plan": self.plan.model_dump(mode="json"),
            "no_answer_s": self.no_answer_s,
            "setup_limit_s": self.setup_limit_s,
            "gap_limit_ms": self.gap_limit_ms,
            "slots": self.slots,
        }

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> SwarmJob:
        """Returns the job that ``to_wire`` described."""
        return cls(**{**wire, "run_folder": Path(wire["run_folder"]), "plan": SwarmPlan.model_validate(wire["plan"])})

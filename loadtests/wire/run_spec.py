"""What the master tells every worker before the first user is started. It travels with Locust's own options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.people.population import Population, PopulationSpec, populate
from loadtests.plan.occupancy import Occupancy, occupancy_of
from loadtests.plan.personas import load_personas
from loadtests.plan.regions import load_regions
from loadtests.plan.swarm_plan import SwarmPlan

LOCAL = "local"
"""Client id of the one worker of a run without workers."""
SPEC_OPTION = "ringfence_run_spec"
"""Key of the spec among Locust's parsed options: keys that Locust does not know are sent to the workers as they are."""


@dataclass(frozen=True, slots=True)
class RunSpec:
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
    slo: str
    """The SLO that the steps of the load are judged by: a built-in name or a file of the master's."""
    disk_mark: str
    """What a worker finds in the run folder when it has the master's disk, see ``receiving``."""
    network: str
    """``network_id`` of the master: whether a loopback address means the same to a worker."""
    slots: dict[str, int]
    """Which part of the people each worker signs in, by Locust's client id."""

    def population(self) -> Population:
        """Returns the people of the run: the same in every process."""
        book = load_personas()
        plan = self.plan
        tails = plan.heavy_tails
        return populate(
            PopulationSpec(
                people=plan.people,
                probe_pairs=plan.probe_calls,
                mix=book.mixes[plan.mix],
                book=book,
                slots=len(self.slots),
                seed=self.seed,
                region=load_regions()[plan.region] if plan.region else None,
                probe_networks=plan.probe_networks,
                missed_calls=tails.missed_calls if tails else 0,
                threads=tails.threads if tails else 0,
            )
        )

    def occupancy(self) -> Occupancy:
        """Returns how long a call of this plan keeps its people busy."""
        book = load_personas()
        plan = self.plan
        patience = plan.patience_s.patience() if plan.patience_s is not None else None
        return occupancy_of(
            plan.talk_s.talk_time(), book.mixes[plan.mix], book, self.no_answer_s, plan.scenarios, patience
        )

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
            "slo": self.slo,
            "disk_mark": self.disk_mark,
            "network": self.network,
            "slots": self.slots,
        }

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> RunSpec:
        """Returns the spec that ``to_wire`` described."""
        return cls(**{**wire, "run_folder": Path(wire["run_folder"]), "plan": SwarmPlan.model_validate(wire["plan"])})

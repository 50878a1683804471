"""Live statistics of one worker, and their sum on the master. They feed the live views only.

The verdict is computed from the records on disk. Once a second a worker sends totals since the start: a lost message
costs one second of freshness and never a call. It also sends the raw values of the last seconds, for percentiles of the
present: Locust's own percentiles are rounded to two digits and cover the whole run.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import Any

from bedrock.quantile import quantile
from calls.records.record import FUNNEL, HUMAN_OUTCOMES, HealthRow, LegRecord, Outcome, Stage, Tier
from loadtests.wire.figures import FigureHistograms, figures_of

WINDOW_S = 15.0
"""Percentiles of now look back this far."""


def setup_ms_of(leg: LegRecord) -> float | None:
    """Returns the set-up time as the caller alone can tell it, in milliseconds.

    From the intended start to the first audio heard, without the time that it rang. The record's ``setup_ms`` takes
    out the callee's own measure of that time instead and waits for both ends to hear: it is known only once the two
    legs are joined.
    """
    if leg.first_audio_at_s is None:
        return None
    rang_s = leg.answered_at_s - leg.ringing_at_s if leg.answered_at_s and leg.ringing_at_s else 0.0
    return max(0.0, leg.first_audio_at_s - leg.intended_at_s - rang_s) * 1000


@dataclass(slots=True)
class TierStats:
    """Calls of one tier, from their callers' side. Totals since the start."""

    started: int = 0
    by_outcome: collections.Counter[str] = field(default_factory=collections.Counter)
    by_stage: collections.Counter[str] = field(default_factory=collections.Counter)
    """How many finished calls reached each stage of the funnel."""

    @property
    def finished(self) -> int:
        """Calls whose caller's leg is over."""
        return self.by_outcome.total()

    @property
    def active(self) -> int:
        """Calls in progress, ringing included."""
        return self.started - self.finished

    def to_wire(self) -> dict[str, Any]:
        """Returns plain values for msgpack."""
        return {"started": self.started, "by_outcome": dict(self.by_outcome), "by_stage": dict(self.by_stage)}

    def add_wire(self, wire: dict[str, Any]) -> None:
        """Adds what ``to_wire`` of another process returned."""
        self.started += wire["started"]
        self.by_outcome.update(wire["by_outcome"])
        self.by_stage.update(wire["by_stage"])


@dataclass(slots=True)
class WorkerStats:
    """Everything that one worker counts."""

    tiers: dict[str, TierStats] = field(
        default_factory=lambda: {Tier.PACKETS.value: TierStats(), Tier.MEDIA.value: TierStats()}
    )
    scenarios: dict[str, collections.Counter[str]] = field(default_factory=dict)
    """By scenario: how often each outcome, and how often ``as_expected``, over both tiers."""
    figures: FigureHistograms = field(default_factory=FigureHistograms)
    """Since the start."""
    worker: dict[str, float] = field(default_factory=dict)
    """The worker's own last second."""
    signed_in: int = 0
    sign_in_failed: int = 0
    starts_planned: int = 0
    starts_dropped: int = 0
    messages_ok: int = 0
    messages_failed: int = 0
    lists_ok: int = 0
    """Pages of threads and calls that people opened."""
    lists_failed: int = 0
    engine: dict[str, float] = field(default_factory=dict)
    """The engine's last second."""
    recent: list[tuple[str, str, float]] = field(default_factory=list)
    """(tier, figure, value) since the last ``take_second``."""

    def call_started(self, tier: Tier) -> None:
        """Counts a call that was handed to the engine."""
        self.tiers[tier.value].started += 1

    def call_finished(self, leg: LegRecord) -> None:
        """Counts a caller's leg."""
        tier = leg.tier.value
        self.tiers[tier].by_outcome[leg.outcome.value] += 1
        for stage in FUNNEL[: FUNNEL.index(leg.stage) + 1]:
            self.tiers[tier].by_stage[stage.value] += 1
        scenario = self.scenarios.setdefault(leg.scenario or "talk", collections.Counter())
        scenario[leg.outcome.value] += 1
        scenario["as_expected"] += bool(leg.as_expected)
        for figure, value in figures_of(leg, setup_ms_of(leg)).items():
            self.recent.append((tier, figure, value))
            self.figures.record(tier, figure, value)

    def call_lost(self, tier: Tier) -> None:
        """Counts a call whose engine died with it."""
        self.tiers[tier.value].by_outcome["lost"] += 1

    def call_not_placed(self, tier: Tier) -> None:
        """Takes back a call that the engine did not place: it has no record."""
        self.tiers[tier.value].started -= 1

    def engine_second(self, row: HealthRow) -> None:
        """Keeps what the engine said of its last second."""
        self.engine = {
            "cpu": row.cpu_ratio,
            "send_late_p99_ms": row.send_late_p99_ms,
            "loop_lag_p99_ms": row.loop_lag_p99_ms,
            "datagrams_dropped": float(row.datagrams_dropped),
            "active_legs": float(row.active_legs),
        }

    def take_second(self) -> dict[str, Any]:
        """Returns the totals and the values since the last call, for msgpack."""
        recent, self.recent = self.recent, []
        return {
            "tiers": {tier: tally.to_wire() for tier, tally in self.tiers.items()},
            "signed_in": self.signed_in,
            "sign_in_failed": self.sign_in_failed,
            "starts_planned": self.starts_planned,
            "starts_dropped": self.starts_dropped,
            "messages_ok": self.messages_ok,
            "messages_failed": self.messages_failed,
            "lists_ok": self.lists_ok,
            "lists_failed": self.lists_failed,
            "engine": self.engine,
            "worker": self.worker,
            "scenarios": {name: dict(outcomes) for name, outcomes in self.scenarios.items()},
            "figures": self.figures.to_wire(),
            "recent": recent,
        }


class SwarmStats:
    """Statistics of the whole swarm, from the last report of each worker."""

    def __init__(self) -> None:
        self._last: dict[int, dict[str, Any]] = {}
        self._recent: collections.deque[tuple[float, str, str, float]] = collections.deque()
        self.lost_workers: set[int] = set()

    def take(self, slot: int, second: dict[str, Any], at_s: float) -> None:
        """Takes in one worker's second."""
        self._last[slot] = second
        self._recent.extend((at_s, tier, figure, value) for tier, figure, value in second["recent"])

    def lose(self, slot: int) -> int:
        """Notes that a worker is gone. Returns how many of its calls were in progress when it was last heard."""
        self.lost_workers.add(slot)
        second = self._last.get(slot)
        if second is None:
            return 0
        second["signed_in"] = 0
        second["engine"] = second["worker"] = {}
        lost = 0
        for wire in second["tiers"].values():
            active = wire["started"] - sum(wire["by_outcome"].values())
            wire["by_outcome"]["lost"] = wire["by_outcome"].get("lost", 0) + active
            lost += active
        return lost

    def regain(self, slot: int) -> None:
        """Notes that a worker is back. Its next second puts its counts right."""
        self.lost_workers.discard(slot)

    def tier(self, tier: str) -> TierStats:
        """Returns one tier's totals over all workers."""
        total = TierStats()
        for second in self._last.values():
            total.add_wire(second["tiers"][tier])
        return total

    def total(self, key: str) -> int:
        """Returns the sum of one count over all workers."""
        return sum(int(second[key]) for second in self._last.values())

    def started_by_worker(self) -> dict[str, int]:
        """Returns how many calls each worker has started: as many callers' legs it owes to the records."""
        return {
            str(slot): sum(wire["started"] for wire in second["tiers"].values())
            for slot, second in sorted(self._last.items())
        }

    def scenarios(self) -> dict[str, collections.Counter[str]]:
        """Returns the outcomes of every scenario over all workers."""
        total: dict[str, collections.Counter[str]] = {}
        for second in self._last.values():
            for name, outcomes in second["scenarios"].items():
                total.setdefault(name, collections.Counter()).update(outcomes)
        return total

    def figures(self) -> FigureHistograms:
        """Returns the merged histograms of all workers."""
        merged = FigureHistograms()
        for second in self._last.values():
            merged.add_wire(second["figures"])
        return merged

    def generators(self) -> list[tuple[int, dict[str, Any]]]:
        """Returns every worker's last second, in the order of their slots."""
        return sorted(self._last.items())

    def engine_values(self, key: str) -> list[float]:
        """Returns one figure of every living engine's last second."""
        return [second["engine"][key] for second in self._last.values() if key in second["engine"]]

    def recent(self, tier: str, figure: str, now_s: float) -> list[float]:
        """Returns the values of the last ``WINDOW_S`` seconds."""
        while self._recent and self._recent[0][0] < now_s - WINDOW_S:
            self._recent.popleft()
        return [value for _at_s, of_tier, of_figure, value in self._recent if (of_tier, of_figure) == (tier, figure)]

    def second(self, at_s: float, stage: str) -> dict[str, Any]:
        """Returns the fields of the ``second`` event of ``live/swarm.jsonl``. Counts are totals since the start."""
        load, probes = self.tier(Tier.PACKETS.value), self.tier(Tier.MEDIA.value)
        outcomes = load.by_outcome + probes.by_outcome
        return {
            "at_s": at_s,
            "stage": stage,
            "users": self.total("signed_in"),
            "calls_active": load.active + probes.active,
            "probes_active": probes.active,
            "started": load.started + probes.started,
            "completed": outcomes[Outcome.COMPLETED.value],
            "failed": outcomes[Outcome.FAILED.value] + outcomes["lost"],
            "other": sum(outcomes[outcome.value] for outcome in HUMAN_OUTCOMES),
            "starts_planned": self.total("starts_planned"),
            "starts_dropped": self.total("starts_dropped"),
            "messages_ok": self.total("messages_ok"),
            "messages_failed": self.total("messages_failed"),
            "lists_ok": self.total("lists_ok"),
            "lists_failed": self.total("lists_failed"),
            "setup_p50_ms": quantile(self.recent(Tier.PACKETS.value, "setup_ms", at_s), 0.5),
            "setup_p95_ms": quantile(self.recent(Tier.PACKETS.value, "setup_ms", at_s), 0.95),
            "owd_p95_ms": quantile(self.recent(Tier.PACKETS.value, "owd_p95_ms", at_s), 0.95),
            "mos_p50": quantile(self.recent(Tier.PACKETS.value, "mos_lq", at_s), 0.5),
            "mos_p5": quantile(self.recent(Tier.PACKETS.value, "mos_lq", at_s), 0.05),
            "loop_lag_p99_ms": max(self.engine_values("loop_lag_p99_ms"), default=None),
            "send_late_p99_ms": max(self.engine_values("send_late_p99_ms"), default=None),
            "engine_cpu": sum(self.engine_values("cpu")),
            "engine_cpu_max": max(self.engine_values("cpu"), default=None),
            "workers_lost": len(self.lost_workers),
        }


def reached(tally: TierStats, stage: Stage) -> float | None:
    """Returns the share of finished calls that reached ``stage``, None when none has finished."""
    return tally.by_stage[stage.value] / tally.finished if tally.finished else None

"""Writes run folders as a run would have left them, from a seed: healthy ones, and every way of being ill."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from calls.records.record import Blame, HealthRow, LegRecord, ListRow, MessageRow, Outcome, SampleRow, Side, Stage, Tier
from reports.run.cells import CellResult, CellStatus, write_cell
from reports.run.live import LiveWriter
from reports.slo.slo_file import BUILT_IN

RUN_ID = "synthetic"
STARTED_AT_S = 1_790_000_000.0
MODEL = "g107.2+opus-alahmadi-2021"
DEVICES = [
    ("itel_a16", "itel A16 (Go)", "android_go"), ("nokia_1", "Nokia 1 (Go)", "android_go"),
    ("tecno_pop_5", "TECNO POP 5 (Go)", "android_go"), ("galaxy_j2_core", "Galaxy J2 Core (Go)", "android_go"),
    ("redmi_go", "Redmi Go", "android_go"), ("galaxy_a01_core", "Galaxy A01 Core (Go)", "android_go"),
    ("nokia_c01_plus", "Nokia C01 Plus (Go)", "android_go"), ("jiophone_next", "JioPhone Next (Go)", "android_go"),
    ("galaxy_a03_core", "Galaxy A03 Core (Go)", "android_go"), ("redmi_a1", "Redmi A1 (Go)", "android_go"),
    ("moto_g4", "Moto G4", "low"), ("galaxy_a10", "Galaxy A10", "low"), ("galaxy_a12", "Galaxy A12", "low"),
    ("oppo_a16", "OPPO A16", "low"), ("redmi_13c", "Redmi 13C", "low_mid"), ("galaxy_a51", "Galaxy A51", "mid"),
    ("galaxy_a54", "Galaxy A54 5G", "mid"), ("pixel_5", "Pixel 5", "upper"), ("pixel_7", "Pixel 7", "upper"),
    ("galaxy_s24", "Galaxy S24", "flagship"), ("iphone_se_1", "iPhone SE 1 (emulated)", "ios"),
    ("iphone_xr", "iPhone XR (emulated)", "ios"), ("iphone_13", "iPhone 13 (emulated)", "ios"),
    ("iphone_16_pro", "iPhone 16 Pro (emulated)", "ios"),
]  # fmt: skip
NETWORKS = {
    "gprs_2g": ("2g", 620.0), "hspa_35g": ("3g", 95.0), "lte_good": ("4g", 48.0), "wifi_home": ("wifi", 14.0),
    "": ("", 0.4),
}  # fmt: skip
SHARES = {"gprs_2g": 0.2, "hspa_35g": 0.25, "lte_good": 0.3, "wifi_home": 0.15, "": 0.1}


@dataclass
class SyntheticRun:
    """What the run was like. ``write`` makes the folder."""

    seed: int = 7
    calls: int = 800
    ramp_s: float = 20.0
    peak_s: float = 75.0
    degradation: bool = True
    answer_delay_s: float = 0.0
    lose_every_nth_answer: int = 0
    human_ratio: float = 0.06
    cells: bool = True
    devices: int = len(DEVICES)
    messages: int = 2000
    message_failed_ratio: float = 0.0
    late_writers: Sequence[str] = ()
    health_gap: tuple[str, int, int] | None = None
    """Writer, first and last second without a health row."""
    lost_callees: int = 0
    """So many callee legs are missing."""
    datagrams_dropped_at_s: int | None = None
    starts_dropped_ratio: float = 0.0
    environment_errors: int = 0
    """So many cells end in an environment error, retried in vain."""
    retried: int = 0
    """So many cells pass at the second attempt."""
    retried_for: str = "link_off"
    """The reason of the first."""
    failing_cells: int = 0
    missing_cells: int = 0
    manifest: dict[str, Any] = field(default_factory=dict)
    """Overrides."""
    talk_s: float = 25.0
    edit_leg: Callable[[LegRecord], LegRecord] | None = None
    edit_health: Callable[[HealthRow], HealthRow] | None = None
    edit_message: Callable[[MessageRow], MessageRow] | None = None
    edit_cell: Callable[[CellResult], CellResult] | None = None
    lists: int = 1200
    list_failed_ratio: float = 0.0
    edit_list: Callable[[ListRow], ListRow] | None = None

    def write(self, path: Path) -> Path:
        rng = random.Random(self.seed)
        path.mkdir(parents=True, exist_ok=True)
        legs = self._legs(rng)
        write_segments(path / "calls", legs, parts=6)
        write_segments(path / "messages", self._messages(rng), parts=2)
        write_segments(path / "lists", self._lists(random.Random(self.seed)), parts=2)
        write_segments(path / "health", self._health(rng, legs), parts=3)
        write_segments(path / "samples", self._samples(legs), parts=1)
        if self.cells:
            self._cells(path, rng)
        (path / "manifest.json").write_bytes(msgspec.json.encode(self._manifest(legs)))
        return path

    def _manifest(self, legs: Sequence[LegRecord]) -> dict[str, Any]:
        plan: dict[str, Any] = {"name": "smoke", "seed": self.seed}
        if self.calls:
            plan["swarm"] = {"workers": 2, "people": 420}
        if self.cells:
            plan["matrix"] = {"workers": 4}
        ended_at_s = max((leg.ended_at_s for leg in legs), default=STARTED_AT_S) + 5
        return {
            "format": 1, "run_id": RUN_ID, "started_at_s": STARTED_AT_S, "ended_at_s": ended_at_s,
            "plan_name": "smoke", "plan": plan, "slo": {"name": "smoke", "file": str(BUILT_IN / "smoke.toml")},
            "seeds": {"plan": self.seed}, "versions": {"ringfence": "0.1.0", "python": "3.11.2", "chromium": "146"},
            "git": {"commit": "0123456789abcdef", "dirty": False},
            "environment_before": {"cores": 2, "load_1m": 0.2}, "environment_after": {"cores": 2, "load_1m": 1.9},
            "tiers": ["packets", "media", "browser"], "target": {"kind": "reference", "url": "http://127.0.0.1:8080"},
            "faults": [], "interrupted": False, **self.manifest,
        }  # fmt: skip

    def _legs(self, rng: random.Random) -> list[LegRecord]:
        at_s, legs = STARTED_AT_S + 1, []
        rate = self.calls / (self.ramp_s + self.peak_s)
        for number in range(self.calls):
            at_s += rng.expovariate(rate)
            legs.extend(self._call(rng, number, at_s))
        callees = [leg for leg in legs if leg.side is Side.CALLEE and leg.outcome is Outcome.COMPLETED]
        lost = {leg.call_id for leg in callees[: self.lost_callees]}
        legs = [leg for leg in legs if leg.side is Side.CALLER or leg.call_id not in lost]
        return [self.edit_leg(leg) for leg in legs] if self.edit_leg else legs

    def _call(self, rng: random.Random, number: int, at_s: float) -> list[LegRecord]:
        networks = rng.choices(list(SHARES), list(SHARES.values()), k=2)
        tier = Tier.MEDIA if number % 40 < 3 else Tier.PACKETS
        caller = _leg(rng, number, Side.CALLER, networks[0], tier, at_s)
        callee = _leg(rng, number, Side.CALLEE, networks[1], tier, at_s)
        if rng.random() < self.human_ratio:
            return _human(rng, caller, callee)
        answer_wait_s = rng.uniform(1.5, 6.0)
        trip_s = (NETWORKS[networks[0]][1] + NETWORKS[networks[1]][1]) / 1000
        ringing_at_s = at_s + trip_s * 2 + 0.02
        answered_at_s = ringing_at_s + answer_wait_s
        arrived_at_s = answered_at_s + trip_s + self.answer_delay_s
        shared = {"answered_at_s": answered_at_s, "answer_wait_ms": answer_wait_s * 1000}
        if self.lose_every_nth_answer and number % self.lose_every_nth_answer == 0:
            return [
                msgspec.structs.replace(
                    caller, outcome=Outcome.NO_ANSWER, stage=Stage.RINGING, ringing_at_s=ringing_at_s,
                    ended_at_s=at_s + 30, reason="no_answer",
                ),
                msgspec.structs.replace(
                    callee, outcome=Outcome.FAILED, stage=Stage.ANSWERED, blame=Blame.UNKNOWN, reason="ice_timeout",
                    ringing_at_s=ringing_at_s, ended_at_s=at_s + 30, **shared,
                ),
            ]  # fmt: skip
        return self._connected(rng, (caller, callee), ringing_at_s, arrived_at_s, trip_s, shared)

    def _connected(
        self,
        rng: random.Random,
        sides: tuple[LegRecord, LegRecord],
        ringing_at_s: float,
        arrived_at_s: float,
        trip_s: float,
        shared: dict[str, float],
    ) -> list[LegRecord]:
        talk_s = rng.lognormvariate(0, 0.4) * self.talk_s
        done = []
        for leg in sides:
            low = "2g" in {sides[0].generation, sides[1].generation}
            loss = rng.betavariate(1, 90) if self.degradation or not low else rng.uniform(0.2, 0.45)
            heard_at_s = arrived_at_s + trip_s * rng.uniform(3.0, 4.0) + rng.uniform(0.05, 0.2)
            mos = (3.9 if low and self.degradation else 4.3) - 9 * loss + rng.gauss(0, 0.03)
            owd_ms = trip_s * 1000 * rng.uniform(1.0, 1.15) + 1 + (1400 if low and not self.degradation else 0)
            done.append(
                msgspec.structs.replace(
                    leg, outcome=Outcome.COMPLETED, stage=Stage.ENDED, ringing_at_s=ringing_at_s,
                    answered_at_s=shared["answered_at_s"] if leg.side is Side.CALLEE else arrived_at_s,
                    answer_wait_ms=shared["answer_wait_ms"] if leg.side is Side.CALLEE else 0.0,
                    ice_at_s=arrived_at_s + trip_s * 1.5, dtls_at_s=arrived_at_s + trip_s * 2.6,
                    first_audio_at_s=heard_at_s, ended_at_s=heard_at_s + talk_s, planned_talk_s=talk_s, talked_s=talk_s,
                    hung_up_cleanly=True, packets_sent=int(talk_s * 50), packets_received=int(talk_s * 50 * (1 - loss)),
                    effective_loss_ratio=loss, owd_p50_ms=owd_ms, owd_p95_ms=owd_ms * 1.3, owd_clock="same_clock",
                    jitter_ms=rng.uniform(1, 12), max_gap_ms=rng.uniform(30, 600), mos_lq=max(1.0, mos),
                    mos_lq_worst=max(1.0, mos - 0.2), mos_cq=max(1.0, mos - trip_s), mos_model=MODEL, mos_grounded=True,
                    audio_kbit=12.0 if low and self.degradation else 28.0,
                    fell_back_to="low_audio" if low and self.degradation else "",
                    audio_score=rng.uniform(0.9, 0.99) if leg.tier is Tier.MEDIA else None, send_late_p99_ms=1.5,
                )
            )  # fmt: skip
        return done

    def _messages(self, rng: random.Random) -> list[MessageRow]:
        rows = []
        for number in range(self.messages):
            network = rng.choice(list(NETWORKS))
            generation, owd_ms = NETWORKS[network]
            ok = rng.random() >= self.message_failed_ratio
            rows.append(
                MessageRow(
                    run_id=RUN_ID, writer=f"swarm-{number % 2}", at_s=STARTED_AT_S + number * 0.04,
                    sender=f"p{number % 90}", to="p1", network=network, generation=generation, ok=ok,
                    reason="" if ok else "timeout",
                    ack_ms=owd_ms * 2 + rng.uniform(1, 15) if ok else None,
                )
            )  # fmt: skip
        return [self.edit_message(row) for row in rows] if self.edit_message else rows

    def _lists(self, rng: random.Random) -> list[ListRow]:
        rows = []
        for number in range(self.lists if self.calls else 0):
            network = rng.choice(list(NETWORKS))
            generation, owd_ms = NETWORKS[network]
            ok = rng.random() >= self.list_failed_ratio
            rows.append(
                ListRow(
                    run_id=RUN_ID, writer=f"swarm-{number % 2}", at_s=STARTED_AT_S + number * 0.06,
                    person=f"p{number % 90}", look_at=("threads", "thread", "calls")[number % 3],
                    heavy_past=number % 10 == 0, network=network, generation=generation, ok=ok,
                    reason="" if ok else "timeout", took_ms=owd_ms * 2 + rng.uniform(2, 40) if ok else None,
                )
            )  # fmt: skip
        return [self.edit_list(row) for row in rows] if self.edit_list else rows

    def _health(self, rng: random.Random, legs: Sequence[LegRecord]) -> list[HealthRow]:
        rows: list[HealthRow] = []
        end_s = int(max((leg.ended_at_s for leg in legs), default=STARTED_AT_S) - STARTED_AT_S) + 1
        for writer in ("swarm-0", "swarm-1") if self.calls else ():
            mine = [leg for leg in legs if leg.writer == writer]
            rows += [self._second(rng, writer, second, mine) for second in range(end_s)]
        gap = self.health_gap
        if gap:
            rows = [r for r in rows if not (r.writer == gap[0] and gap[1] <= r.at_s - STARTED_AT_S <= gap[2])]
        return [self.edit_health(row) for row in rows] if self.edit_health else rows

    def _second(self, rng: random.Random, writer: str, second: int, legs: Sequence[LegRecord]) -> HealthRow:
        at_s = STARTED_AT_S + second
        active = sum(leg.started_at_s <= at_s < leg.ended_at_s for leg in legs)
        late_ms = rng.uniform(14, 60) if writer in self.late_writers and second > 30 else rng.uniform(0.6, 2.4)
        dropped = self.datagrams_dropped_at_s
        return HealthRow(
            run_id=RUN_ID, writer=writer, role="engine", host="box-1", at_s=at_s,
            cpu_ratio=0.05 + active * 0.0025, rss_mb=180.0,
            loop_lag_p99_ms=late_ms * 0.8, send_late_p99_ms=late_ms, send_late_max_ms=late_ms * 3,
            packets_sent=second * 4000, packets_received=second * 3990, active_legs=active, signed_in=210,
            datagrams_dropped=17 if dropped is not None and second >= dropped and writer == "swarm-1" else 0,
            starts_planned=second * 4, starts_dropped=int(second * 4 * self.starts_dropped_ratio),
        )  # fmt: skip

    def _samples(self, legs: Sequence[LegRecord]) -> list[SampleRow]:
        return [
            SampleRow(run_id=RUN_ID, writer=leg.writer, call_id=leg.call_id, side=leg.side, tier=leg.tier,
                      at_s=leg.started_at_s + 1, kbit_in=24.0, mos_lq=leg.mos_lq)
            for leg in legs[:50]
        ]  # fmt: skip

    def _cells(self, path: Path, rng: random.Random) -> None:
        live = LiveWriter(path / "live" / "matrix.jsonl")
        planned = [
            (*device, network, "video_fallback" if network == "gprs_2g" else "audio_call")
            for index, device in enumerate(DEVICES[: self.devices])
            for network in (("gprs_2g", "hspa_35g") if index % 2 else ("gprs_2g", "lte_good"))
        ]
        live.emit("plan", cells=[
            {"cell": f"{device}--{network}--{scenario}", "device": device, "network": network, "scenario": scenario}
            for device, _title, _kind, network, scenario in planned
        ])  # fmt: skip
        for index, (device, title, device_class, network, scenario) in enumerate(planned):
            if index >= len(planned) - self.missing_cells:
                continue
            result = self._cell(rng, index, device, title, device_class, network, scenario)
            for attempt in self._attempts(index, self.edit_cell(result) if self.edit_cell else result):
                write_cell(path, attempt)

    def _attempts(self, index: int, result: CellResult) -> list[CellResult]:
        broken = {
            "status": CellStatus.ENVIRONMENT_ERROR, "blame": Blame.GENERATOR, "reason": self.retried_for,
            "detail": "the link was measured at 31 kbit/s down, and the profile says 50",
        }  # fmt: skip
        if index < self.environment_errors:
            return [msgspec.structs.replace(result, attempt=number, **broken) for number in (1, 2)]
        if index < self.environment_errors + self.retried:
            return [
                msgspec.structs.replace(result, attempt=1, **broken),
                msgspec.structs.replace(result, attempt=2),
            ]
        return [result]

    def _cell(
        self, rng: random.Random, index: int, device: str, title: str, kind: str, network: str, scenario: str
    ) -> CellResult:
        name = f"{device}--{network}--{scenario}"
        fails = self.environment_errors + self.retried <= index < (
            self.environment_errors + self.retried + self.failing_cells
        ) or (not self.degradation and scenario == "video_fallback")
        return CellResult(
            cell=name, device=device, device_title=title, device_class=kind, network=network,
            generation=NETWORKS[network][0], scenario=scenario, driver=("playwright", "appium")[index % 2],
            tier="browser+media", status=CellStatus.FAILED if fails else CellStatus.PASSED,
            blame=Blame.TARGET if fails else Blame.NOBODY, reason="no_fallback" if fails else "",
            detail="video was still being sent 20 s into the call on a 2G link" if fails else "",
            started_at_s=STARTED_AT_S + 95 + index * 4, duration_s=rng.uniform(14, 26), call_id=f"cell-{index}",
            replay=f"pytest device_matrix --plan smoke --cell {name}",
            shaping={"ok": True, "down_kbit": 49.2, "up_kbit": 29.6, "owd_down_ms": 251.4, "loss_ratio": 0.011},
            figures={"setup_ms": rng.uniform(900, 5200), "mos_lq": 3.9, "fell_back_to": "audio", "video_frames": None},
            artifacts=["screenshot.png", "console.log"],
        )  # fmt: skip


def _leg(rng: random.Random, number: int, side: Side, network: str, tier: Tier, at_s: float) -> LegRecord:
    first, second = f"p{number * 2 % 420}", f"p{(number * 2 + 1) % 420}"
    caller = side is Side.CALLER
    return LegRecord(
        run_id=RUN_ID, call_id=f"call-{number:07}", side=side, tier=tier, source="swarm",
        writer=f"swarm-{(number + (not caller)) % 2}", person=first if caller else second,
        peer=second if caller else first, persona="emerging" if network == "gprs_2g" else "urban", device="redmi_go",
        network=network, generation=NETWORKS[network][0], scenario="swarm_audio", outcome=Outcome.FAILED,
        intended_at_s=at_s, started_at_s=at_s + rng.uniform(0.0, 0.004), ended_at_s=at_s + 1,
    )  # fmt: skip


def _human(rng: random.Random, caller: LegRecord, callee: LegRecord) -> list[LegRecord]:
    outcome = rng.choice([Outcome.BUSY, Outcome.DECLINED, Outcome.NO_ANSWER, Outcome.BLOCKED])
    refused = outcome in {Outcome.BUSY, Outcome.BLOCKED}
    ringing_at_s = None if refused else caller.started_at_s + 0.5
    changes: dict[str, Any] = {"outcome": outcome, "reason": str(outcome), "ringing_at_s": ringing_at_s}
    changes["stage"] = Stage.ATTEMPTED if refused else Stage.RINGING
    changes["ended_at_s"] = caller.started_at_s + (30 if outcome is Outcome.NO_ANSWER else 4)
    caller = msgspec.structs.replace(caller, **changes)
    return [caller] if refused else [caller, msgspec.structs.replace(callee, **changes)]


def write_segments(folder: Path, rows: Sequence[msgspec.Struct], *, parts: int = 1) -> list[Path]:
    """Writes rows as ``parts`` parquet segments, enums as strings, columns in the struct's order."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for part in range(parts):
        mine = rows[part::parts]
        if mine:
            path = folder / f"swarm-{part % 2}-{part:06}.parquet"
            pq.write_table(_table(mine), path)
            written.append(path)
    return written


def _table(rows: Sequence[msgspec.Struct]) -> pa.Table:
    kinds = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema(
        [
            (name, kinds.get(str(hint).removesuffix(" | None"), pa.string()))
            for kind in [type(rows[0])]
            for name, hint in kind.__annotations__.items()
        ]
    )
    return pa.Table.from_pylist([msgspec.to_builtins(row) for row in rows], schema=schema)


def healthy(**changes: Any) -> SyntheticRun:
    """A run of the smoke plan's size against a healthy product on a fit machine."""
    return replace(SyntheticRun(), **changes)

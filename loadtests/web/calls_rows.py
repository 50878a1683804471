"""Makes the rows of the *Calls* tab: one table of figures in groups, from the statistics of all workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bedrock.intervals import proportion_bounds
from bedrock.quantile import quantile
from calls.records.record import FUNNEL, Outcome, Stage, Tier
from loadtests.master.probe_scores import ProbeScores
from loadtests.wire.live_stats import WINDOW_S, SwarmStats, TierStats, reached

COLUMNS = [
    {"key": "figure", "title": "Calls"},
    {"key": "load", "title": "Load"},
    {"key": "probes", "title": "Probes"},
    {"key": "note", "title": "Note"},
]
NO_VALUE = "-"
LOAD, PROBES = Tier.PACKETS.value, Tier.MEDIA.value
LOST = "lost"
PROBE_SCENARIO = "probe"
STAGES = {
    Stage.RINGING: "Ringing",
    Stage.ANSWERED: "Answered",
    Stage.ICE: "ICE connected",
    Stage.DTLS: "DTLS connected",
    Stage.MEDIA_BOTH_WAYS: "Media both ways",
    Stage.SUSTAINED: "Sustained",
    Stage.ENDED: "Ended",
}
HISTOGRAM_ROWS = {
    "Latency": (
        ("Set-up p50 (ms)", "setup_ms", 50, "whole run; from the intended start to first audio, without ringing"),
        ("Set-up p95 (ms)", "setup_ms", 95, "whole run"),
        ("Set-up p99 (ms)", "setup_ms", 99, "whole run"),
        ("One-way delay p95 (ms)", "owd_p95_ms", 95, "p95 over calls of the p95 in each call, as the caller heard it"),
        ("Mouth to ear p95 (ms)", "mouth_to_ear_ms", 95, "estimate, on the caller's side"),
    ),
    "Speech quality": (
        ("MOS-LQ p50", "mos_lq", 50, "E-model, listening quality, as the caller heard it"),
        ("MOS-LQ p5", "mos_lq", 5, "5 % of calls are at or below this"),
    ),
}
"""Group: title, figure, percent of calls at or below the value, note."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the tab. A row with nothing but a title is the heading of a group."""

    figure: str
    load: str = ""
    probes: str = ""
    note: str = ""


def rows(
    stats: SwarmStats, problem: str, now_s: float, scores: ProbeScores | None = None, plan: str = ""
) -> list[dict[str, str]]:
    """Returns the rows for Locust, in order. ``problem``: why the last start was refused."""
    table = [Row("Not started", note=problem)] if problem else []
    table.append(Row("Live charts", note="page with charts of the whole run, at /calls"))
    if plan:
        table.append(Row("Plan", note=plan))
    table += _progress(stats)
    table += _outcomes(stats)
    table += _stages(stats)
    table += _latency(stats, now_s, scores)
    table += _quality(stats, scores)
    table += _scenarios(stats)
    table += _people(stats)
    table += _generator(stats)
    # Locust sorts by the key ``name`` until somebody clicks on a column.
    return [
        {"name": f"{index:03d}", "figure": row.figure, "load": row.load, "probes": row.probes, "note": row.note}
        for index, row in enumerate(table)
    ]


def _both(stats: SwarmStats, text: Callable[[TierStats], str]) -> tuple[str, str]:
    return text(stats.tier(LOAD)), text(stats.tier(PROBES))


def _both_rounded(value: Callable[[str], float | None]) -> tuple[str, str]:
    return _rounded(value(LOAD)), _rounded(value(PROBES))


def _progress(stats: SwarmStats) -> list[Row]:
    planned, dropped = stats.total("starts_planned"), stats.total("starts_dropped")
    return [
        Row("Progress"),
        Row("In progress", *_both(stats, lambda tier: str(tier.active)), "ringing included"),
        Row("Started", *_both(stats, lambda tier: str(tier.started)), "since the run began"),
        Row(
            "Completed / finished",
            *_both(stats, _completion),
            "busy, declined, … are not counted; in brackets: 95 % interval",
        ),
        Row("Starts dropped", f"{dropped} of {planned}", "", "nobody was free to call, or the worker had no engine"),
    ]


def _outcomes(stats: SwarmStats) -> list[Row]:
    load, probes = stats.tier(LOAD), stats.tier(PROBES)
    table = [Row("Outcomes")]
    for name in [*(outcome.value for outcome in Outcome), LOST]:
        if load.by_outcome[name] or probes.by_outcome[name] or name in (Outcome.COMPLETED.value, Outcome.FAILED.value):
            note = "a worker or its engine died; counted as failed" if name == LOST else ""
            counts = str(load.by_outcome[name]), str(probes.by_outcome[name])
            table.append(Row(name.replace("_", " ").capitalize(), *counts, note))
    return table


def _stages(stats: SwarmStats) -> list[Row]:
    def share(stage: Stage) -> Callable[[TierStats], str]:
        def text(tier: TierStats) -> str:
            ratio = reached(tier, stage)
            return NO_VALUE if ratio is None else f"{ratio:.1%}"

        return text

    stages = [Row(STAGES[stage], *_both(stats, share(stage))) for stage in FUNNEL[1:]]
    return [Row("Stages reached, share of finished calls"), *stages]


def _latency(stats: SwarmStats, now_s: float, scores: ProbeScores | None) -> list[Row]:
    now = _both_rounded(lambda tier: quantile(stats.recent(tier, "setup_ms", now_s), 0.95))
    table = [Row("Latency"), Row(f"Set-up p95, last {WINDOW_S:.0f} s (ms)", *now, "calls that ended in this time")]
    table += _histogram_rows(stats, "Latency")
    if scores is not None and (scores.count or scores.unscored):
        measured = _rounded(scores.mouth_to_ear_ms(0.5))
        table.append(Row("Mouth to ear p50, measured (ms)", NO_VALUE, measured, "correlation of sent and heard audio"))
    return table


def _quality(stats: SwarmStats, scores: ProbeScores | None) -> list[Row]:
    table = [Row("Speech quality"), *_histogram_rows(stats, "Speech quality")]
    if scores is not None and (scores.count or scores.unscored):
        table.append(Row("ViSQOL p50", NO_VALUE, _rounded(scores.score(0.5)), scores.summary))
        table.append(Row("ViSQOL p5", NO_VALUE, _rounded(scores.score(0.05)), "5 % of sides are at or below this"))
    return table


def _histogram_rows(stats: SwarmStats, group: str) -> list[Row]:
    figures = stats.figures()

    def values(figure: str, percent: float) -> tuple[str, str]:
        return _both_rounded(lambda tier: figures.percentile(tier, figure, percent))

    return [Row(title, *values(figure, percent), note) for title, figure, percent, note in HISTOGRAM_ROWS[group]]


def _scenarios(stats: SwarmStats) -> list[Row]:
    table = []
    for name, outcomes in sorted(stats.scenarios().items()):
        ends = {outcome: count for outcome, count in outcomes.items() if outcome != "as_expected" and count}
        counts = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in sorted(ends.items()))
        expected = f"{outcomes['as_expected']} of {sum(ends.values())} as expected" if outcomes["as_expected"] else ""
        columns = ("", counts) if name == PROBE_SCENARIO else (counts, "")
        table.append(Row(f"Scenario: {name.replace('_', ' ')}", *columns, expected))
    return [Row("Scenarios"), *table] if table else []


def _people(stats: SwarmStats) -> list[Row]:
    def counts(kind: str) -> str:
        return f"{stats.total(f'{kind}_ok')} ok, {stats.total(f'{kind}_failed')} failed"

    return [
        Row("People"),
        Row("People online", str(stats.total("signed_in")), "", "probes included"),
        Row("Messages", counts("messages"), "", "ok: acknowledged by the service"),
        Row("Lists opened", counts("lists"), "", "pages of threads and of missed calls"),
    ]


def _generator(stats: SwarmStats) -> list[Row]:
    dropped = sum(stats.engine_values("datagrams_dropped"))
    return [
        Row("Load generator"),
        Row("Dropped by generator", f"{dropped:.0f}", "", "packets that the engines could not send"),
        Row("Workers lost", str(len(stats.lost_workers))),
        *(_process(slot, second, slot in stats.lost_workers) for slot, second in stats.generators()),
    ]


def _process(slot: int, second: dict[str, Any], is_lost: bool) -> Row:
    """Returns the last second of one worker and its engine."""
    engine, worker, clock = second["engine"], second["worker"], second.get("clock")
    of_engine = "gone" if is_lost else "no engine"
    if engine:
        of_engine = (
            f"engine {engine['cpu']:.0%} of a core, sends {engine['send_late_p99_ms']:.1f} ms late, "
            f"lags {engine['loop_lag_p99_ms']:.1f} ms"
        )
    of_worker = f"worker {worker['cpu']:.0%} of a core, lags {worker['loop_lag_p99_ms']:.1f} ms" if worker else ""
    note = (
        f"; clock offset {round(clock['offset_ms'], 1) + 0.0:+.1f} ms (±{clock['uncertainty_ms']:.1f} ms)"
        if clock
        else ""
    )
    return Row(f"Process: worker {slot}", of_engine, of_worker, f"p99 of the last second{note}")


def _completion(tier: TierStats) -> str:
    done = tier.by_outcome[Outcome.COMPLETED.value]
    finished = done + tier.by_outcome[Outcome.FAILED.value] + tier.by_outcome[LOST]
    if not finished:
        return NO_VALUE
    bounds = proportion_bounds(done, finished)
    return f"{done / finished:.1%} ({bounds.low:.1%} to {bounds.high:.1%})"


def _rounded(value: float | None) -> str:
    if value is None:
        return NO_VALUE
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"

"""Makes the charts and the funnel of the page: time series and distributions, aggregated in SQL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calls.records.record import FUNNEL
from reports.render.charts.distribution import ColumnStack, DistributionCurve, column_chart, cumulative_chart
from reports.render.charts.timeline_chart import Bound, Series, timeline_chart
from reports.result.summary import Summary
from reports.run.store import RunStore
from reports.slo.metrics import GENERATIONS, NO_ACCESS_LINK
from reports.text import counted, figure, grouped

POINTS = 240
"""The number of columns of a timeline, for a run of any length."""
CURVE_STEPS = 100
MOS_LOW, MOS_WIDTH, MOS_COLUMNS = 1.0, 0.1, 40
PROCESS_COLOURS = 6
"""Processes beyond these reuse the colours, dashed and then dotted."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its title, note and legend."""

    title: str
    note: str
    svg: str
    legend: Sequence[tuple[str, str, str]] = ()
    """Colour class, name, figures."""


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """A stage, and how many calls reached it."""

    stage: str
    calls: int
    ratio: float
    lost: str
    """The outcomes of the calls that reached the stage before, but not this one."""


def swarm_charts(store: RunStore, summary: Summary) -> list[Chart]:
    """Returns the charts of the swarm: concurrency, arrivals, quality, set-up time, one-way delay."""
    setup_limit_ms = summary.swarm.limits.get("setup_limit_s", 0.0) * 1000
    charts = [
        *_traffic(store), _mos(store),
        _by_generation(
            store, "setup_ms", "Set-up time", "from the intended start to audio on both sides, without ringing time; "
            "grouped by the worse access network of the two sides", "setup, ms", Bound(setup_limit_ms, "setup limit"),
        ),
        _by_generation(
            store, "connect_ms", "Answer to audio", "from the callee's answer to audio on both sides",
            "connect, ms", _p95_limit(summary, "connect_ms_p95"),
        ),
        _by_generation(
            store, "owd_ms", "One-way delay", "a call's typical delay of audio packets, in its worse direction",
            "one-way delay, ms", _p95_limit(summary, "owd_ms_p95"),
        ),
    ]  # fmt: skip
    return [chart for chart in charts if chart.svg]


def health_charts(store: RunStore, summary: Summary) -> list[Chart]:
    """Returns send lateness and CPU time of every process of the load generator."""
    seconds, step_s, started_at_s = _bins(store, "SELECT min(at_s), max(at_s) FROM health")
    faults = _faults(store, started_at_s)
    writers = [writer.writer for writer in summary.swarm.health.writers]
    bound_ms = summary.swarm.health.send_late_bound_ms
    shown = []
    for column, title, note, unit, bound in (
        ("send_late_p99_ms", "Send lateness", "delay of packets against their schedule, p99 of each second", "ms",
         Bound(bound_ms, "allowed") if bound_ms else None),
        ("cpu_ratio * 100", "CPU of the generator", "100 % is one core", "%", None),
    ):  # fmt: skip
        values = _per_bin(store, f"SELECT writer, at_s, max({column}) FROM health GROUP BY ALL", step_s, started_at_s)
        series = [
            Series(
                writer,
                f"w{index % PROCESS_COLOURS} dash-{index // PROCESS_COLOURS % 3}",
                [values.get((writer, place)) for place in range(len(seconds))],
            )
            for index, writer in enumerate(writers)
        ]
        svg = timeline_chart(title, seconds, step_s, series, unit=unit, bound=bound, faults=faults)
        shown.append(Chart(title, note, svg, [(line.colour, line.name, "") for line in series]))
    return [chart for chart in shown if chart.svg]


def funnel(store: RunStore, summary: Summary) -> list[FunnelStep]:
    """Returns the stages of the calls of the swarm, and what happened between one stage and the next."""
    left = store.rows(
        """SELECT reached, outcome, reason, count(*) AS n FROM calls
        WHERE source = 'swarm' AND outcome <> 'completed' GROUP BY ALL ORDER BY n DESC, reason, outcome"""
    )
    steps = []
    for place, stage in enumerate(FUNNEL):
        lost = [
            f"{grouped(n)} {(reason if outcome == 'failed' else outcome).replace('_', ' ')}"
            for reached, outcome, reason, n in left
            if reached == place - 1
        ]
        calls = summary.swarm.funnel.get(str(stage), 0)
        ratio = calls / summary.swarm.calls if summary.swarm.calls else 0.0
        steps.append(FunnelStep(str(stage).replace("_", " "), calls, ratio, ", ".join(lost)))
    return steps


def _traffic(store: RunStore) -> list[Chart]:
    seconds, step_s, started_at_s = _bins(store, "SELECT min(at_s), max(at_s) FROM seconds")
    faults = _faults(store, started_at_s)
    rows = store.rows(
        """SELECT CAST(floor((at_s - ?) / ?) AS BIGINT) AS place, sum(started) / ?, sum(failed) / ?, max(in_media),
            max(under_way), min(probes) FROM seconds GROUP BY place""",
        [started_at_s, step_s, step_s, step_s],
    )
    found = {row[0]: row[1:] for row in rows}
    series = [
        [float(found[place][index]) if place in found else None for place in range(len(seconds))] for index in range(5)
    ]
    concurrency = [
        Series("with media both ways", "c1", series[2], filled=True),
        Series("in progress, ringing included", "c2", series[3]),
        Series("probe calls", "c3", series[4]),
    ]
    arrivals = [Series("started", "c1", series[0], filled=True), Series("failed", "bad", series[1])]
    return [
        Chart(
            "Calls at once", "swarm calls in each second", timeline_chart("Calls at once", seconds, step_s, concurrency,
            unit="calls", faults=faults), [(line.colour, line.name, "") for line in concurrency],
        ),
        Chart(
            "Arrivals and failures", "calls a second: by when they started, and by when they failed",
            timeline_chart("Arrivals and failures", seconds, step_s, arrivals, unit="calls/s", faults=faults),
            [(line.colour, line.name, "") for line in arrivals],
        ),
    ]  # fmt: skip


def _p95_limit(summary: Summary, metric: str) -> Bound | None:
    """Returns the limit of the first rule about ``metric``."""
    limits = [rule.limit for rule in summary.rules if rule.metric == metric and rule.limit is not None]
    return Bound(limits[0], f"p95 target: {figure(limits[0], 'ms')}") if limits else None


def _by_generation(store: RunStore, column: str, title: str, note: str, label: str, bound: Bound | None) -> Chart:
    shares = ", ".join(f"{step / CURVE_STEPS:g}" for step in range(CURVE_STEPS + 1))
    rows = store.rows(
        f"""SELECT generation, count(*), quantile_disc({column}, [{shares}]) FROM calls
        WHERE source = 'swarm' AND {column} IS NOT NULL GROUP BY generation"""
    )
    found = {generation or NO_ACCESS_LINK: (n, quantiles) for generation, n, quantiles in rows}
    curves = [
        DistributionCurve(_network_name(name), f"g-{name}", found[name][0], found[name][1])
        for name in GENERATIONS
        if name in found
    ]
    legend = [
        (
            curve.colour,
            curve.name,
            _unbroken(
                counted(curve.n, "call"),
                f"median {figure(curve.quantiles[CURVE_STEPS // 2], 'ms')}",
                f"p95 {figure(curve.quantiles[round(CURVE_STEPS * 0.95)], 'ms')}",
            ),
        )
        for curve in curves
    ]
    return Chart(title, note, cumulative_chart(title, curves, label, "ms", bound), legend)


def _mos(store: RunStore) -> Chart:
    rows = store.rows(
        """SELECT generation, CAST(least(?, floor((mos_lq - ?) / ?)) AS BIGINT) AS place, count(*) FROM calls
        WHERE source = 'swarm' AND mos_lq IS NOT NULL GROUP BY ALL""",
        [MOS_COLUMNS - 1, MOS_LOW, MOS_WIDTH],
    )
    counts: dict[str, list[int]] = {}
    for generation, place, n in rows:
        counts.setdefault(generation or NO_ACCESS_LINK, [0] * MOS_COLUMNS)[max(0, place)] += n
    stacks = [ColumnStack(_network_name(name), f"g-{name}", counts[name]) for name in GENERATIONS if name in counts]
    model = store.value("SELECT mode(mos_model) FROM calls WHERE mos_lq IS NOT NULL") or ""
    ungrounded = sum(tier["n"] for tier in store.records(
        "SELECT count(*) AS n FROM calls WHERE source = 'swarm' AND any_mos_lq IS NOT NULL AND mos_lq IS NULL"
    ))  # fmt: skip
    note = f"MOS-LQ of a call's worse side, model {model}"
    if ungrounded:
        note += f"; {counted(ungrounded, 'call')} left out: the model does not cover their codec or loss"
    legend = [(stack.colour, stack.name, counted(sum(stack.counts), "call")) for stack in stacks]
    return Chart(
        "Listening quality", note, column_chart("Listening quality", MOS_LOW, MOS_WIDTH, stacks, "MOS-LQ"), legend
    )


def _unbroken(*parts: str) -> str:
    """Joins figures so that a narrow screen breaks the line between them, never inside one."""
    return ", ".join(part.replace(" ", "\u00a0") for part in parts)


def _network_name(generation: str) -> str:
    return {"none": "no access link", "wifi": "Wi-Fi", "satellite": "satellite"}.get(generation, generation.upper())


def _bins(store: RunStore, sql: str) -> tuple[list[float], float, float]:
    """Returns the columns of a timeline as seconds of the run, their width, and the start of the run."""
    low, high = store.rows(sql)[0]
    manifest = store.folder.manifest
    if low is None:
        return [], 1.0, 0.0
    started_at_s = manifest.started_at_s if manifest and manifest.started_at_s is not None else float(low)
    started_at_s = min(started_at_s, float(low))
    span_s = float(high) - started_at_s + 1
    step_s = float(max(1, math.ceil(span_s / POINTS)))
    return [place * step_s for place in range(math.ceil(span_s / step_s))], step_s, started_at_s


def _per_bin(store: RunStore, sql: str, step_s: float, started_at_s: float) -> dict[tuple[str, int], float]:
    rows = store.rows(
        f"""SELECT writer, CAST(floor((at_s - ?) / ?) AS BIGINT) AS place, max(value)
        FROM ({sql}) AS found(writer, at_s, value) GROUP BY ALL""",
        [started_at_s, step_s],
    )
    return {(writer, place): float(value) for writer, place, value in rows}


def _faults(store: RunStore, started_at_s: float) -> list[tuple[float, str]]:
    return [(fault.at_s - started_at_s, fault.detail or fault.what) for fault in store.folder.faults]

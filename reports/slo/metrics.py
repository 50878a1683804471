"""Lists the metrics that a rule may name: the meaning of each, its unit, and its records.

A ratio counts calls, messages, list pages or cells. A quantile is taken over one value of each call. A count is one
number of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How the confidence interval of a metric is computed."""

    RATIO = "ratio"
    """Hits among n: an exact binomial interval."""
    QUANTILE = "quantile"
    """An interval of order statistics."""
    COUNT = "count"
    """Counted, not estimated: no interval."""


class Better(StrEnum):
    """Whether higher or lower values are better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``value`` and ``counted`` are SQL over ``table``; see call_view.py and store.py for the columns."""

    name: str
    meaning: str
    kind: Kind
    better: Better
    unit: str
    table: str
    value: str
    """Ratio: what makes a row a hit. Quantile: the number. Count: the name of its query in exact_counts.py."""
    counted: str = "true"
    """Which rows count."""
    q: float = 0.5
    example: str = "call_id"
    """The column with the name of a row, for the examples of a failed rule."""
    single_valued: str = ""
    """A column that must hold one value over the whole population, e.g. the model of a MOS."""
    coverage: bool = False
    """Whether it measures how much was tested. A miss is then INCONCLUSIVE, never FAIL."""


CALL_KEYS = ("source", "tier", "network", "generation", "scenario", "device", "persona", "media")
MESSAGE_KEYS = ("network", "generation")
LIST_KEYS = ("look_at", "heavy_past", "network", "generation")
CELL_KEYS = ("device", "device_class", "network", "generation", "scenario", "driver", "tier", "emulated")

WHERE_KEYS: dict[str, tuple[str, ...]] = {
    "calls": CALL_KEYS,
    "messages": MESSAGE_KEYS,
    "lists": LIST_KEYS,
    "cells": CELL_KEYS,
    "run": (),
}
"""The keys that ``where`` of a rule may hold, for each table."""

NO_ACCESS_LINK = "none"
"""The name for calls without an access link, whose network and generation are empty."""

GENERATIONS = ("2g", "satellite", "3g", "4g", "5g", "wifi", NO_ACCESS_LINK)
"""From the worst to the best."""

_SPOKE = "outcome IN ('completed', 'failed')"


def _ratio(name: str, better: Better, table: str, value: str, counted: str, meaning: str, example: str) -> Metric:
    return Metric(name, meaning, Kind.RATIO, better, "", table, value, counted, example=example)


def _quantile(
    name: str,
    q: float,
    better: Better,
    unit: str,
    value: str,
    meaning: str,
    table: str = "calls",
    example: str = "call_id",
    single_valued: str = "",
) -> Metric:
    counted = f"{value} IS NOT NULL"
    return Metric(
        name, meaning, Kind.QUANTILE, better, unit, table, value, counted, q, example, single_valued=single_valued
    )


def _coverage(name: str, unit: str, value: str, meaning: str) -> Metric:
    return Metric(name, meaning, Kind.COUNT, Better.HIGHER, unit, "run", value, coverage=True)


_ALL = (
    _ratio(
        "completion_ratio", Better.HIGHER, "calls", "outcome = 'completed'", _SPOKE,
        "calls completed, of those that completed or failed (busy, declined, … are not counted)", "call_id",
    ),
    _ratio(
        "failed_ratio", Better.LOWER, "calls", "outcome = 'failed'", _SPOKE,
        "calls that failed, of those that completed or failed", "call_id",
    ),
    _ratio(
        "target_failed_ratio", Better.LOWER, "calls", "outcome = 'failed' AND blame = 'target'", _SPOKE,
        "calls that failed with blame target (the service), of those that completed or failed", "call_id",
    ),
    _ratio(
        "fallback_ratio", Better.HIGHER, "calls", "fell_back_to <> ''", f"{_SPOKE} AND media_both_ways",
        "calls in which a side gave up video or quality to stay up, of those with media both ways", "call_id",
    ),
    _quantile("setup_ms_p50", 0.50, Better.LOWER, "ms", "setup_ms",
              "from the intended start to audio heard on both sides, without ringing time: median"),
    _quantile("setup_ms_p95", 0.95, Better.LOWER, "ms", "setup_ms",
              "from the intended start to audio heard on both sides, without ringing time"),
    _quantile("connect_ms_p50", 0.50, Better.LOWER, "ms", "connect_ms",
              "from the callee's answer to audio heard on both sides: median"),
    _quantile("connect_ms_p95", 0.95, Better.LOWER, "ms", "connect_ms",
              "from the callee's answer to audio heard on both sides"),
    _quantile("owd_ms_p50", 0.50, Better.LOWER, "ms", "owd_ms",
              "a call's typical one-way delay of audio packets, in its worse direction: median over calls"),
    _quantile("owd_ms_p95", 0.95, Better.LOWER, "ms", "owd_ms",
              "a call's typical one-way delay of audio packets, in its worse direction: 95th percentile over calls"),
    _quantile("loss_ratio_p50", 0.50, Better.LOWER, "ratio", "effective_loss_ratio",
              "audio packets lost or too late to play, in a call's worse direction: median over calls"),
    _quantile("loss_ratio_p95", 0.95, Better.LOWER, "ratio", "effective_loss_ratio",
              "audio packets lost or too late to play, in a call's worse direction: 95th percentile over calls"),
    _quantile("mos_lq_p5", 0.05, Better.HIGHER, "MOS", "mos_lq",
              "listening quality of a call's worse side: 5 % of calls are worse", single_valued="mos_model"),
    _quantile("mos_lq_median", 0.50, Better.HIGHER, "MOS", "mos_lq",
              "listening quality of a call's worse side: median over calls", single_valued="mos_model"),
    _quantile("mos_cq_median", 0.50, Better.HIGHER, "MOS", "mos_cq",
              "conversational quality (delay counted) of a call's worse side: median", single_valued="mos_model"),
    _quantile("probe_score_median", 0.50, Better.HIGHER, "", "audio_score",
              "likeness of decoded to original audio of a call's worse side, 0 to 1: median over probe calls"),
    _quantile("visqol_mos_lq_median", 0.50, Better.HIGHER, "MOS", "visqol_mos_lq",
              "MOS of a probe call's worse side by ViSQOL in speech mode: median over probe calls"),
    _quantile("mouth_to_ear_ms_p95", 0.95, Better.LOWER, "ms", "mouth_to_ear_ms",
              "mouth-to-ear delay, in a call's worse direction: 95th percentile over calls"),
    _quantile("bad_seconds_ratio_p95", 0.95, Better.LOWER, "ratio", "bad_ratio",
              "share of a call's seconds in windows below R 50 (listening): 95th percentile over calls"),
    _quantile("move_gap_ms_p95", 0.95, Better.LOWER, "ms", "move_gap_ms",
              "silence while a side changed networks in mid-call, the longer one of a call's two: 95th percentile"),
    _quantile("message_ack_ms_p95", 0.95, Better.LOWER, "ms", "ack_ms",
              "from the intended time of a text message to its acknowledgement", "messages", "sender"),
    _ratio("message_failed_ratio", Better.LOWER, "messages", "NOT ok", "true",
           "text messages that were not acknowledged", "sender"),
    _quantile("list_ms_p95", 0.95, Better.LOWER, "ms", "took_ms",
              "from the opening of a list (threads, a thread, calls) until its page loaded", "lists", "person"),
    _ratio("list_failed_ratio", Better.LOWER, "lists", "NOT ok", "true",
           "pages of lists that people opened and that did not load", "person"),
    _ratio("cell_pass_ratio", Better.HIGHER, "cells", "status = 'passed'", "status IN ('passed', 'failed')",
           "cells of the device matrix that passed, of those that passed or failed", "cell"),
    _coverage("cells_run", "cells", "cells_run", "cells of the device matrix that passed or failed"),
    _coverage("devices_run", "devices", "devices_run", "device profiles with a cell that passed or failed"),
    _coverage("peak_concurrent", "calls", "peak_concurrent", "most swarm calls with media both ways in one second"),
    _coverage("concurrent_held_60s", "calls", "concurrent_held_60s",
              "most swarm calls with media both ways that were held through every second of some minute"),
    _coverage("probes_concurrent_min", "calls", "probes_concurrent_min",
              "fewest probe calls with media in any second of the minute with the most calls"),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric by name."""

"""Measures an open link with real UDP in both directions and compares it with its profile."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace

from network_profiles.errors import LinkLost
from network_profiles.links.counters import DirectionCounters, LinkCounters
from network_profiles.links.rootless import network_scope
from network_profiles.links.shaped_link import ShapedLink
from network_profiles.model.plain_profile import SIDES, PlainProfile, Side, from_json, plain_profile
from network_profiles.model.profile import Direction, NetworkProfile
from network_profiles.verification.evidence import Evidence, Figure
from network_profiles.verification.probe.exchange import DirectionResult, exchange, open_probe
from network_profiles.verification.probe.judge import harness_figures, judge, judge_thoroughly
from network_profiles.verification.probe.probe_plan import ProbePlan, short_plan
from network_profiles.verification.probe.thorough_plan import thorough_plan
from network_profiles.verification.probe.timeline_probe import judge_timeline, timeline_plan, timeline_probe_s
from network_profiles.verification.probe.trace import ProbeTrace
from network_profiles.verification.remeasurement import measure_until_decided

__all__ = ["Evidence", "Figure", "measure", "proof_duration_s", "prove"]

_MAX_MEASUREMENTS = 3


def measure(link: ShapedLink, profile: NetworkProfile, *, budget_s: float = 3.0) -> Evidence:
    """Compares ``link`` with ``profile`` by a short probe, as a matrix cell does before it uses a link.

    It takes about ``budget_s``, or longer when the profile's queue drains slowly; afterwards the queue is empty. A
    profile that changes with time is measured between its changes, and its timeline restarts at the end. After a miss
    while the machine was late, it measures again, at most three times in all. Nothing else may use the link meanwhile.
    Raises LinkLost when the link or an endpoint of the probe dies.
    """
    return measure_until_decided(
        lambda _number: _measured(link, profile, budget_s), on_time_misses=1, max_measurements=_MAX_MEASUREMENTS
    )


def _measured(link: ShapedLink, profile: NetworkProfile, budget_s: float) -> Evidence:
    """Measures once."""
    began_s, at_s = time.monotonic(), time.time()
    plans: dict[Side, ProbePlan] = {side: short_plan(_direction(profile, side), budget_s) for side in SIDES}
    results, during = _probe_steady(link, profile, plans)
    if profile.changes_with_time:
        link.restart_timeline()
    figures: list[Figure] = []
    for side in SIDES:
        trace = _trace(side, plans[side], results[side])
        figures += judge(side, _direction(profile, side), trace, results[side].reordered, during[side])
    link_late_ms, probe_late_ms = _lateness((results, during))
    return Evidence(
        profile.id, link.backend, at_s, time.monotonic() - began_s, tuple(figures),
        network_scope=network_scope(), link_late_ms=link_late_ms, probe_late_ms=probe_late_ms,
    )  # fmt: skip


def prove(link: ShapedLink, profile: NetworkProfile, *, seed: int, budget_s: float) -> Evidence:
    """Compares ``link`` with ``profile`` thoroughly: enough packets for every figure, and every change with time.

    The link must be new and have that ``seed``. Steady figures and changes take at most about ``budget_s`` each, less
    where that is enough: see ``proof_duration_s``. Raises LinkLost.
    """
    began_s, at_s = time.monotonic(), time.time()
    figures: list[Figure] = []
    plain = _json_round_trip(profile)
    observations: list[_Observation] = []
    if profile.changes_with_time:
        figures_of_changes, observation = _probe_timeline(link, plain, seed, budget_s)
        figures += figures_of_changes
        observations.append(observation)
    plans: dict[Side, ProbePlan] = {side: thorough_plan(_direction(profile, side), budget_s) for side in SIDES}
    results, during = _probe_steady(link, profile, plans)
    observations.append((results, during))
    for side in SIDES:
        trace = _trace(side, plans[side], results[side])
        figures += judge_thoroughly(side, _direction(profile, side), trace, results[side].reordered, during[side])
    link_late_ms, probe_late_ms = _lateness(*observations)
    return Evidence(
        profile.id, link.backend, at_s, time.monotonic() - began_s, tuple(figures), seed,
        network_scope=network_scope(), link_late_ms=link_late_ms, probe_late_ms=probe_late_ms,
    )  # fmt: skip


def proof_duration_s(profile: NetworkProfile, *, seed: int, budget_s: float) -> float:
    """Returns about how long ``prove`` takes."""
    steady_s = max(thorough_plan(_direction(profile, side), budget_s).ends_at_s for side in SIDES)
    return steady_s + (timeline_probe_s(plain_profile(profile), seed, budget_s) if profile.changes_with_time else 0.0)


_Observation = tuple[dict[Side, DirectionResult], dict[Side, DirectionCounters]]
"""What both endpoints saw of each direction, and what the link counted meanwhile."""


def _lateness(*observations: _Observation) -> tuple[float | None, float]:
    """Returns the highest lateness of the link's process and of the probe's endpoints, in ms."""
    link_late_ms = [
        side.late_max_ms for _, during in observations for side in during.values() if side.late_max_ms is not None
    ]
    probe_late_ms = max(side.late_ms for results, _ in observations for side in results.values())
    return max(link_late_ms, default=None), probe_late_ms


def _probe_steady(link: ShapedLink, profile: NetworkProfile, plans: Mapping[Side, ProbePlan]) -> _Observation:
    """Sends the plans over the link while it is held between its changes."""
    if profile.changes_with_time:
        link.hold_timeline()
    before = link.counters()
    try:
        results = exchange(link, plans)
    except LinkLost:
        link.counters()  # raises LinkLost itself when the daemon has died
        raise
    return results, _difference(before, link.counters())


def _probe_timeline(
    link: ShapedLink, profile: PlainProfile, seed: int, budget_s: float
) -> tuple[list[Figure], _Observation]:
    """Probes the link's changes with time. The timeline restarts together with the probe."""
    lasts_s = timeline_probe_s(profile, seed, budget_s)
    timeline_plans = {side: timeline_plan(profile, side, seed, lasts_s) for side in SIDES}
    before = link.counters()
    with open_probe(link, {side: one.plan for side, one in timeline_plans.items()}) as probe:
        started_at_s = link.restart_timeline()
        results = probe.run(started_at_s)
    during = _difference(before, link.counters())
    figures: list[Figure] = []
    for side in SIDES:
        packets = results[side].packets
        figures += judge_timeline(side, profile, seed, timeline_plans[side], packets, started_at_s)
        figures += (
            replace(figure, name=f"changing_{figure.name}")
            for figure in harness_figures(side, len(packets), results[side].reordered, during[side])
        )
    return figures, (results, during)


def _difference(before: LinkCounters, after: LinkCounters) -> dict[Side, DirectionCounters]:
    return {
        side: replace(now, refused=now.refused - then.refused, overrun=now.overrun - then.overrun)
        for side, then, now in _by_side(before, after)
    }


def _by_side(before: LinkCounters, after: LinkCounters) -> list[tuple[Side, DirectionCounters, DirectionCounters]]:
    return [("down", before.down, after.down), ("up", before.up, after.up)]


def _trace(side: Side, sent_plan: ProbePlan, results: DirectionResult) -> ProbeTrace:
    trace = ProbeTrace(results.packets[: sent_plan.paced], results.packets[sent_plan.paced :])
    if not trace.paced:
        raise LinkLost(f"the probe sent nothing {side}")
    return trace


def _direction(profile: NetworkProfile, side: Side) -> Direction:
    return profile.down if side == "down" else profile.up


def _json_round_trip(profile: NetworkProfile) -> PlainProfile:
    return from_json(json.loads(json.dumps(plain_profile(profile))))

"""The *Calls* tab of Locust's web UI: funnel, outcomes, latencies, quality, probes, and the generator's own health."""

from __future__ import annotations

import time

from flask import Response, jsonify, request
from locust.env import Environment

from bedrock.errors import RingfenceError
from calls.record import FUNNEL, Outcome, Stage, Tier
from loadtests.aggregate import SwarmView, TierTally, percentile, reached
from loadtests.master import SwarmMaster
from loadtests.plan import DEFAULT_PLAN, load_plan
from reports.statistics import proportion_bounds

KEY = "calls"
COLUMNS = [
    {"key": "figure", "title": "Calls"},
    {"key": "load", "title": "Load (packets)"},
    {"key": "probes", "title": "Probes (media)"},
    {"key": "note", "title": "What it spans"},
]
NOTHING = "-"
_LOAD, _PROBES = Tier.PACKETS.value, Tier.MEDIA.value


class CallsTab:
    """Adds the tab to the normal page, and refuses a start whose plan is wrong with the reason in the start form."""

    def __init__(self, environment: Environment, master: SwarmMaster) -> None:
        self._environment = environment
        self._master = master

    def install(self) -> None:
        """Call it once, before the web server starts."""
        web_ui = self._environment.web_ui
        if web_ui is None or web_ui.app is None:
            return
        web_ui.template_args["extended_tabs"] = [{"title": "Calls", "key": KEY}]
        web_ui.template_args["extended_tables"] = [{"key": KEY, "structure": COLUMNS}]
        web_ui.app.after_request(self._add_rows)
        web_ui.app.before_request(self._refuse_wrong_plan)

    def _add_rows(self, response: Response) -> Response:
        if request.path.endswith("/stats/requests") and response.is_json:
            # The response object may be Locust's cached one, so that rows are replaced and never appended.
            report = response.get_json()
            data = rows(self._master.view, self._master.problem, time.time())
            report["extended_stats"] = [{"key": KEY, "data": data}]
            response.set_data(jsonify(report).get_data())
        return response

    def _refuse_wrong_plan(self) -> Response | None:
        if request.method != "POST" or not request.path.endswith("/swarm"):
            return None
        try:
            load_plan(request.form.get("plan") or DEFAULT_PLAN)
        except RingfenceError as error:
            return jsonify({"success": False, "message": str(error), "host": self._environment.host})
        return None


def rows(view: SwarmView, problem: str, now_s: float) -> list[dict[str, str]]:
    """Returns the tab's table."""
    load, probes = view.tier(_LOAD), view.tier(_PROBES)
    table = [_row("Not started", problem, "", "")] if problem else []
    table += [
        _row("In progress", str(load.active), str(probes.active), "ringing included"),
        _row("Started", str(load.started), str(probes.started), "since the run began"),
        _row("Completion", _completion(load), _completion(probes), "exact bounds, 95 % each; human ends left out"),
    ]
    for name in [*(outcome.value for outcome in Outcome), "lost"]:
        if load.by_outcome[name] or probes.by_outcome[name] or name == Outcome.FAILED.value:
            note = "a worker or its engine died" if name == "lost" else ""
            counts = str(load.by_outcome[name]), str(probes.by_outcome[name])
            table.append(_row(f"Outcome: {name.replace('_', ' ')}", *counts, note))
    for stage in FUNNEL[1:]:
        title = f"Reached: {stage.value.replace('_', ' ')}"
        table.append(_row(title, _share(load, stage), _share(probes, stage), "of finished calls"))
    for title, figure, ratio, note in (
        ("Set-up p50, ms", "setup_ms", 0.5, "intended start to first audio, ringing left out; last 15 s"),
        ("Set-up p95, ms", "setup_ms", 0.95, "as above"),
        ("One-way delay p95, ms", "owd_p95_ms", 0.95, "of each call's own p95; what the caller heard"),
        ("MOS-LQ p50", "mos_lq", 0.5, "E-model, listening, what the caller heard"),
        ("MOS-LQ p5", "mos_lq", 0.05, "as above"),
    ):
        load_value = _percentile(view, _LOAD, figure, ratio, now_s)
        probe_value = _percentile(view, _PROBES, figure, ratio, now_s)
        table.append(_row(title, load_value, probe_value, note))
    # Locust sorts by the key ``name`` until somebody clicks on a column.
    return [{"name": f"{place:03d}", **row} for place, row in enumerate(table + _health_rows(view))]


def _health_rows(view: SwarmView) -> list[dict[str, str]]:
    planned, dropped = view.total("starts_planned"), view.total("starts_dropped")
    cpu = " + ".join(f"{value:.2f}" for value in view.engine_values("cpu"))
    return [
        _row("Starts dropped", f"{dropped} of {planned}", "", "nobody free to call, or no engine"),
        _row("Messages", f"{view.total('messages_ok')} ok, {view.total('messages_failed')} failed", "", "acknowledged"),
        _row("People online", str(view.total("signed_in")), "", "probes included"),
        _row("Engine CPU, cores", cpu, "", "one figure an engine, last second"),
        _row("Send lateness p99, ms", _most(view, "send_late_p99_ms"), "", "worst engine, last second"),
        _row("Loop lag p99, ms", _most(view, "loop_lag_p99_ms"), "", "worst engine, last second"),
        _row("Datagrams dropped", f"{sum(view.engine_values('datagrams_dropped')):.0f}", "", "by the generator itself"),
        _row("Workers lost", str(len(view.lost_workers)), "", ""),
    ]


def _row(figure: str, load: str, probes: str, note: str) -> dict[str, str]:
    return {"figure": figure, "load": load, "probes": probes, "note": note}


def _completion(tally: TierTally) -> str:
    done = tally.by_outcome[Outcome.COMPLETED.value]
    judged = done + tally.by_outcome[Outcome.FAILED.value] + tally.by_outcome["lost"]
    if not judged:
        return NOTHING
    bounds = proportion_bounds(done, judged)
    return f"{done / judged:.1%} ({bounds.low:.1%} to {bounds.high:.1%})"


def _share(tally: TierTally, stage: Stage) -> str:
    share = reached(tally, stage)
    return NOTHING if share is None else f"{share:.1%}"


def _percentile(view: SwarmView, tier: str, figure: str, ratio: float, now_s: float) -> str:
    value = percentile(view.recent(tier, figure, now_s), ratio)
    if value is None:
        return NOTHING
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _most(view: SwarmView, key: str) -> str:
    value = max(view.engine_values(key), default=None)
    return NOTHING if value is None else f"{value:.1f}"

"""The *Calls* tab of Locust's web UI: funnel, outcomes, latencies, quality, probes, and the generator's own health."""

from __future__ import annotations

import time
from typing import Any

from flask import Response, jsonify, request
from locust.env import Environment
from werkzeug.datastructures import ImmutableMultiDict

from bedrock.errors import RingfenceError
from bedrock.intervals import proportion_bounds
from calls.records.record import FUNNEL, Outcome, Stage, Tier
from loadtests.master.master import SwarmMaster
from loadtests.master.probe_scores import ProbeScores
from loadtests.plan.overrides import PlanOverrides
from loadtests.plan.swarm_plan import DEFAULT_PLAN, load_plan
from loadtests.web.calls_page import install_page
from loadtests.web.request_guard import AllowedHosts, RequestGuard
from loadtests.web.start_form import START_FIELDS
from loadtests.wire.live_stats import SwarmStats, TierStats, percentile, reached

KEY = "calls"
COLUMNS = [
    {"key": "figure", "title": "Calls"},
    {"key": "load", "title": "Load (packets)"},
    {"key": "probes", "title": "Probes (media)"},
    {"key": "note", "title": "What it spans"},
]
NOTHING = "-"
SHOWN_ONLY = "host"
"""Locust's own field. It shows the target, which only the command line names."""
LOCK_THE_HOST = b'<script src="./calls/start_form.js"></script></body>'
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
        options: Any = self._environment.parsed_options
        hosts = AllowedHosts(options.web_host or "", options.web_allowed_host)
        web_ui.app.debug = False
        web_ui.app.wsgi_app = RequestGuard(web_ui.app.wsgi_app, hosts)  # type: ignore[method-assign]
        install_page(self._environment, self._master)
        web_ui.app.after_request(self._add_rows)
        web_ui.app.after_request(self._lock_the_host)
        web_ui.app.before_request(self._refuse_wrong_start)

    def _add_rows(self, response: Response) -> Response:
        if request.path.endswith("/stats/requests") and response.is_json:
            # The response object may be Locust's cached one, so that rows are replaced and never appended.
            report = response.get_json()
            live = self._master.live
            data = rows(
                self._master.stats, self._master.problem, time.time(), live.scores if live else None, self._master.plan
            )
            report["extended_stats"] = [{"key": KEY, "data": data}]
            if self._master.is_starting:
                # Locust has not started a user yet. Told so, its page would go back to the form and ask no more.
                report["state"] = "spawning"
            response.set_data(jsonify(report).get_data())
        return response

    def _lock_the_host(self, response: Response) -> Response:
        if response.mimetype == "text/html" and request.endpoint == "locust.index" and not response.direct_passthrough:
            response.set_data(response.get_data().replace(b"</body>", LOCK_THE_HOST, 1))
        return response

    def _refuse_wrong_start(self) -> Response | None:
        if request.method != "POST" or not request.path.endswith("/swarm"):
            return None
        # Locust takes every posted field for an option of its command line, the folder and the target included.
        foreign = sorted(set(request.form) - START_FIELDS - {SHOWN_ONLY})
        if foreign:
            names = ", ".join(f"'{name[:40]}'" for name in foreign[:5])
            return self._refused(f"The start form has no field {names}: name it on the command line.")
        request.form = ImmutableMultiDict(
            [(name, value) for name, value in request.form.items(multi=True) if name != SHOWN_ONLY]
        )
        try:
            plan = load_plan(request.form.get("plan") or DEFAULT_PLAN)
            PlanOverrides.from_values({**vars(self._environment.parsed_options), **request.form}).apply(plan)
        except RingfenceError as error:
            return self._refused(str(error))
        return None

    def _refused(self, message: str) -> Response:
        return jsonify({"success": False, "message": message, "host": self._environment.host})


def rows(
    stats: SwarmStats, problem: str, now_s: float, scores: ProbeScores | None = None, plan: str = ""
) -> list[dict[str, str]]:
    """Returns the tab's table."""
    load, probes = stats.tier(_LOAD), stats.tier(_PROBES)
    table = [_row("Not started", problem, "", "")] if problem else []
    table += [
        _row(
            "In progress",
            str(load.active),
            str(probes.active),
            "ringing included; live charts at /calls, also under Download Data",
        ),
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
    late_ms = percentile(stats.recent(_LOAD, "setup_ms", now_s), 0.95)
    late_probes_ms = percentile(stats.recent(_PROBES, "setup_ms", now_s), 0.95)
    table.append(_row("Set-up p95 of late, ms", _rounded(late_ms), _rounded(late_probes_ms), "calls of the last 15 s"))
    figures = stats.figures()
    for title, figure, percent, note in (
        ("Set-up p50, ms", "setup_ms", 50, "intended start to first audio, ringing left out; all workers' calls"),
        ("Set-up p95, ms", "setup_ms", 95, "as above: histograms of all workers, merged"),
        ("Set-up p99, ms", "setup_ms", 99, "as above"),
        ("One-way delay p95, ms", "owd_p95_ms", 95, "of each call's own p95; what the caller heard"),
        ("Mouth to ear p95, ms", "mouth_to_ear_ms", 95, "estimate of the caller's side"),
        ("MOS-LQ p50", "mos_lq", 50, "E-model, listening, what the caller heard"),
        ("MOS-LQ p5", "mos_lq", 5, "as above"),
    ):
        load_value, probe_value = (
            figures.percentile(_LOAD, figure, percent),
            figures.percentile(_PROBES, figure, percent),
        )
        table.append(_row(title, _rounded(load_value), _rounded(probe_value), note))
    if scores is not None and (scores.count or scores.unscored):
        table.append(_row("ViSQOL p50", NOTHING, _rounded(scores.score(0.5)), scores.told))
        table.append(_row("ViSQOL p5", NOTHING, _rounded(scores.score(0.05)), "as above"))
        delay = _rounded(scores.mouth_to_ear_ms(0.5))
        table.append(_row("Measured mouth to ear p50, ms", NOTHING, delay, "by correlation of what was heard"))
    table += _scenario_rows(stats)
    if plan:
        table.append(_row("Plan", "", "", plan))
    # Locust sorts by the key ``name`` until somebody clicks on a column.
    return [{"name": f"{place:03d}", **row} for place, row in enumerate(table + _health_rows(stats))]


def _scenario_rows(stats: SwarmStats) -> list[dict[str, str]]:
    table = []
    for name, outcomes in sorted(stats.scenarios().items()):
        ends = {outcome: count for outcome, count in outcomes.items() if outcome != "as_expected" and count}
        told = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in sorted(ends.items()))
        expected = f"{outcomes['as_expected']} of {sum(ends.values())} as expected" if outcomes["as_expected"] else ""
        table.append(_row(f"Scenario: {name.replace('_', ' ')}", told, "", expected))
    return table


def _health_rows(stats: SwarmStats) -> list[dict[str, str]]:
    planned, dropped = stats.total("starts_planned"), stats.total("starts_dropped")
    return [
        _row("Starts dropped", f"{dropped} of {planned}", "", "nobody free to call, or no engine"),
        _row(
            "Messages", f"{stats.total('messages_ok')} ok, {stats.total('messages_failed')} failed", "", "acknowledged"
        ),
        _row(
            "Lists opened",
            f"{stats.total('lists_ok')} ok, {stats.total('lists_failed')} failed",
            "",
            "pages of threads and calls",
        ),
        _row("People online", str(stats.total("signed_in")), "", "probes included"),
        _row(
            "Datagrams dropped", f"{sum(stats.engine_values('datagrams_dropped')):.0f}", "", "by the generator itself"
        ),
        _row("Workers lost", str(len(stats.lost_workers)), "", ""),
        *(_generator_row(slot, second, slot in stats.lost_workers) for slot, second in stats.generators()),
    ]


def _generator_row(slot: int, second: dict[str, Any], is_lost: bool) -> dict[str, str]:
    """One worker and its engine, their last second."""
    engine, worker, clock = second["engine"], second["worker"], second.get("clock")
    load = "gone" if is_lost else "no engine"
    if engine:
        load = (
            f"engine {engine['cpu']:.0%} of a core, sends {engine['send_late_p99_ms']:.1f} ms late, "
            f"lags {engine['loop_lag_p99_ms']:.1f} ms"
        )
    own = f"worker {worker['cpu']:.0%}, lags {worker['loop_lag_p99_ms']:.1f} ms" if worker else ""
    note = f"clock {clock['offset_ms']:+.1f} ms, known to {clock['uncertainty_ms']:.1f} ms" if clock else ""
    return _row(f"Worker {slot}", load, own, f"p99 of the last second; {note}" if note else "p99 of the last second")


def _row(figure: str, load: str, probes: str, note: str) -> dict[str, str]:
    return {"figure": figure, "load": load, "probes": probes, "note": note}


def _completion(tally: TierStats) -> str:
    done = tally.by_outcome[Outcome.COMPLETED.value]
    judged = done + tally.by_outcome[Outcome.FAILED.value] + tally.by_outcome["lost"]
    if not judged:
        return NOTHING
    bounds = proportion_bounds(done, judged)
    return f"{done / judged:.1%} ({bounds.low:.1%} to {bounds.high:.1%})"


def _share(tally: TierStats, stage: Stage) -> str:
    share = reached(tally, stage)
    return NOTHING if share is None else f"{share:.1%}"


def _rounded(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"

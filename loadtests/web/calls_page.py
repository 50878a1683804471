"""The page with live charts, at ``/calls`` of Locust's web UI.

It works while a run is on and after it has ended, until the next one begins. The browser asks for the points that it
lacks once a second and draws them itself (``web/calls.js``): drawing here would take time from the master.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from flask import Blueprint, Response, jsonify, request, send_from_directory
from locust.env import Environment

from bedrock.intervals import proportion_bounds
from calls.records.record import Outcome, Tier
from loadtests.master.history import History
from loadtests.master.master import RunPhase, SwarmMaster

WEB = Path(__file__).parent
Guard = Callable[[Callable[..., Response]], Callable[..., Response]]
TITLE = "Live charts of the calls"


def install_page(environment: Environment, master: SwarmMaster) -> None:
    """Adds the page to Locust's web server, behind its log-in where it has one, and a link to it in Download Data."""
    web_ui = environment.web_ui
    if web_ui is None or web_ui.app is None:
        return
    guard = cast("Guard", web_ui.auth_required_if_enabled)
    pages = Blueprint("ringfence_calls", __name__, url_prefix=environment.parsed_options.web_base_path or None)  # type: ignore[union-attr]

    @pages.route("/calls")
    @guard
    def page() -> Response:
        return send_from_directory(WEB, "calls.html")

    @pages.route("/calls/<any('calls.css', 'calls.js', 'chart.js', 'start_form.js'):name>")
    @guard
    def part(name: str) -> Response:
        return send_from_directory(WEB, name)

    @pages.route("/calls/points")
    @guard
    def points() -> Response:
        epoch = request.args.get("epoch", -1, type=int)
        after_s = request.args.get("after", 0.0, type=float)
        return jsonify(state_of(master, request.args.get("run", ""), epoch, after_s))

    web_ui.app.register_blueprint(pages)
    links = [{"href": "./calls", "title": TITLE}]
    web_ui.template_args["extended_csv_files"] = links


def state_of(master: SwarmMaster, run: str, epoch: int, after_s: float) -> dict[str, Any]:
    """Returns what the page shows now, and the points that a browser lacks which has ``run`` up to ``after_s``."""
    live, stats = master.live, master.stats
    history = live.history if live is not None else History()
    load, probes = stats.tier(Tier.PACKETS.value), stats.tier(Tier.MEDIA.value)
    outcomes = load.by_outcome + probes.by_outcome
    completed = outcomes[Outcome.COMPLETED.value]
    judged = completed + outcomes[Outcome.FAILED.value] + outcomes["lost"]
    bounds = proportion_bounds(completed, judged) if judged else None
    return {
        "run": master.run_id,
        "phase": master.phase.value,
        "stage": master.stage,
        "target": master.environment.host,
        "problem": master.problem,
        "epoch": history.epoch,
        "points": history.since(epoch if run == master.run_id else -1, after_s),
        "faults": live.faults if live is not None else [],
        "completed": completed,
        "judged": judged,
        "completion": [completed / judged, bounds.low, bounds.high] if bounds is not None else None,
        "people": 0 if master.phase in (RunPhase.IDLE, RunPhase.ENDED) else stats.total("signed_in"),
        "calls_active": load.active + probes.active,
    }

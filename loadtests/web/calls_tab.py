"""Adds the *Calls* tab to Locust's web UI, arranges its start form, and refuses starts with a wrong plan."""

from __future__ import annotations

import json
import time
from typing import Any

from flask import Response, jsonify, request
from locust.env import Environment
from werkzeug.datastructures import ImmutableMultiDict

from bedrock.errors import RingfenceError
from loadtests.master.master import SwarmMaster
from loadtests.plan.overrides import PlanOverrides
from loadtests.plan.swarm_plan import DEFAULT_PLAN, load_plan
from loadtests.web.calls_page import install_page
from loadtests.web.calls_rows import COLUMNS, rows
from loadtests.web.request_guard import AllowedHosts, RequestGuard
from loadtests.web.start_form import START_FIELDS, StartForm

KEY = "calls"
HOST_FIELD = "host"
"""Locust's own field. Ours is read-only and shows the target, which only the command line names."""


class CallsTab:
    """Adds the tab to the normal page, and refuses a start whose plan is wrong with the reason in the start form."""

    def __init__(self, environment: Environment, master: SwarmMaster, form: StartForm) -> None:
        self._environment = environment
        self._master = master
        self._form = form

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
        # The start form shows its fields in the order of the page's JSON, which Jinja would sort.
        web_ui.app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}
        web_ui.app.wsgi_app = RequestGuard(web_ui.app.wsgi_app, hosts)  # type: ignore[method-assign]
        install_page(self._environment, self._master)
        web_ui.app.after_request(self._add_rows)
        web_ui.app.after_request(self._add_scripts)
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
                # Before the first user, Locust reports "ready": its page would return to the form and stop polling.
                report["state"] = "spawning"
            response.set_data(jsonify(report).get_data())
        return response

    def _add_scripts(self, response: Response) -> Response:
        if response.mimetype == "text/html" and request.endpoint == "locust.index" and not response.direct_passthrough:
            response.set_data(response.get_data().replace(b"</body>", self._scripts() + b"</body>", 1))
        return response

    def _scripts(self) -> bytes:
        layout = json.dumps(self._form.layout()).replace("<", "\\u003c")
        return (
            '<link rel="stylesheet" href="./calls/locust_pages.css">'
            f'<script type="application/json" id="ringfence-start-form">{layout}</script>'
            '<script type="module" src="./calls/start_form.js"></script>'
            '<script type="module" src="./calls/calls_tab.js"></script>'
        ).encode()

    def _refuse_wrong_start(self) -> Response | None:
        if request.method != "POST" or not request.path.endswith("/swarm"):
            return None
        # Locust takes every posted field for an option of its command line, the folder and the target included.
        foreign = sorted(set(request.form) - START_FIELDS - {HOST_FIELD})
        if foreign:
            names = ", ".join(f"'{name[:40]}'" for name in foreign[:5])
            return self._refused(f"The start form has no field {names}: name it on the command line.")
        request.form = ImmutableMultiDict(
            [(name, value) for name, value in request.form.items(multi=True) if name != HOST_FIELD]
        )
        try:
            plan = load_plan(request.form.get("plan") or DEFAULT_PLAN)
            PlanOverrides.from_values({**vars(self._environment.parsed_options), **request.form}).apply(plan)
        except RingfenceError as error:
            return self._refused(str(error))
        return None

    def _refused(self, message: str) -> Response:
        return jsonify({"success": False, "message": message, "host": self._environment.host})

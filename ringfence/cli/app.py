"""The root command. Commands are named by import path and read only when used, so that ``--help`` stays quick."""

from __future__ import annotations

from cyclopts import App

from ringfence import __version__

app = App(
    name="ringfence",
    version=__version__,
    help="""Will calls still work, for everybody, after this release?

    ringfence loads a calling service with a swarm of synthetic callers, places real calls from 24+ device profiles over
    shaped 2G/3G/4G links at the same time, and gives one verdict: PASS, FAIL, INCONCLUSIVE or INVALID.

    Start here:  ringfence doctor;  ringfence run --plan smoke;  then open runs/latest/report.html

    Exit codes: 0 PASS, 1 FAIL, 2 usage or configuration, 3 INCONCLUSIVE, 4 INVALID, 5 the environment lacks something,
    70 ringfence itself crashed (no verdict), 130 interrupted.""",
    help_format="plaintext",
)

app.command("ringfence.cli.run:run", name="run")
app.command("ringfence.cli.run:swarm", name="swarm")
app.command("ringfence.cli.run:matrix", name="matrix")
app.command("ringfence.cli.serve:serve", name="serve")
app.command("ringfence.cli.verdict:gate", name="gate")
app.command("ringfence.cli.verdict:report", name="report")
app.command("ringfence.cli.past_runs:compare", name="compare")
app.command("ringfence.cli.past_runs:history", name="history")
app.command("ringfence.cli.network:app", name="network")
app.command("ringfence.cli.devices:app", name="devices")
app.command("ringfence.cli.bench:app", name="bench")
app.command("ringfence.cli.doctor:doctor", name="doctor")

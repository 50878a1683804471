"""``ringfence network``: the link profiles, what they give a call, proof that they are what they say."""

from __future__ import annotations

from cyclopts import App

from ringfence.cli.network.exec import exec_behind
from ringfence.cli.network.list_and_show import list_profiles, show
from ringfence.cli.network.verify import verify

app = App(
    name="network", help="Link profiles: list, show, verify, or run a command behind one.", help_format="plaintext"
)
app.command(list_profiles, name="list")
app.command(show)
app.command(verify)
app.command(exec_behind, name="exec")

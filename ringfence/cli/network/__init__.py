"""``ringfence network``: lists, draws and proves network profiles, and runs commands behind them."""

from __future__ import annotations

from cyclopts import App

from ringfence.cli.network.exec import exec_behind
from ringfence.cli.network.list_and_show import list_profiles, show
from ringfence.cli.network.verify import verify

app = App(
    name="network",
    help="List network profiles, draw one, prove that a link matches it, or run a command behind it.",
    help_format="plaintext",
)
app.command(list_profiles, name="list")
app.command(show)
app.command(verify)
app.command(exec_behind, name="exec")

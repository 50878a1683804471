"""``ringfence bench``: what a call, its signaling, or a link costs this machine, measured now."""

from __future__ import annotations

from cyclopts import App

app = App(name="bench", help="Measure what a call costs this machine.", help_format="plaintext")

app.command("ringfence.cli.bench.media:media", name="media")
app.command("ringfence.cli.bench.link:link", name="link")
app.command("ringfence.cli.bench.signaling:signaling", name="signaling")

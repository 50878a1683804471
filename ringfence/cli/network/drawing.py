"""Draws a link for a terminal: its numbers, its rate over time, and the call formats that fit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from network_profiles.catalogue.feasibility import Feasibility
from network_profiles.model.profile import Direction, NetworkProfile, ProfilePhase, Trace
from network_profiles.model.schedule import Schedule, Segment

BARS = "▁▂▃▄▅▆▇█"
NOTHING = "╳"  # noqa: RUF001 - a cross that fills its cell, not a letter
LOSSY = "▒"
LOSSY_RATIO = 0.1
"""A segment with at least this random loss is marked."""
_INDENT = 6
_RIGHT = 16
"""Columns beside the bars: the direction's name, and the rate of the highest bar."""


def kbit(rate_kbit: float | None) -> str:
    """Returns a rate in a few characters: ``30k``, ``1.8M``."""
    if rate_kbit is None:
        return "∞"
    return f"{rate_kbit:.3g}k" if rate_kbit < 1000 else f"{rate_kbit / 1000:.3g}M"


def directions(profile: NetworkProfile) -> Table:
    """Returns a table of the six numbers, for both directions."""
    table = Table("", "rate", "one way", "jitter", "loss", "in runs of", "queue", box=None, header_style="dim")
    for side, direction in (("down", profile.down), ("up", profile.up)):
        table.add_row(
            side,
            _rate(direction),
            f"{direction.owd_ms:g} ms",
            f"{direction.jitter_ms:g} ms",
            f"{direction.loss_ratio:.3g}" if direction.loss_ratio == 0 else f"{direction.loss_ratio:.2%}",
            f"{direction.loss_burst_packets:g}" if direction.loss_ratio else "-",
            f"{direction.queue_ms:g} ms",
        )
    return table


def changes(profile: NetworkProfile) -> RenderableType:
    """Returns how the link changes, in words or as a table of phases; empty when it does not."""
    if profile.phases:
        return _phases(profile)
    if profile.outages is not None:
        one = profile.outages
        return Text(
            f"random outages of {one.shortest_s:g} to {one.longest_s:g} s, "
            f"after {one.mean_between_s:g} s of service on average"
        )
    lines = [
        f"{side}: {_trace(direction.trace, direction)}"
        for side, direction in (("down", profile.down), ("up", profile.up))
        if direction.trace is not None
    ]
    return Text("\n".join(lines))


def over_time(down: Schedule, up: Schedule, width: int) -> Group:
    """Returns both directions' rates as bars over time, with outages and heavy loss marked."""
    columns = max(20, width - _INDENT - _RIGHT)
    rows: list[RenderableType] = []
    for side, one in (("down", down), ("up", up)):
        top_kbit = max((segment.shape.rate_kbit or 0.0 for segment in one.segments if segment.shape), default=0.0)
        line = Text(f"{side:<{_INDENT}}", no_wrap=True)
        line.append_text(bars(one, columns, top_kbit))
        line.append(f" peak {kbit(top_kbit or None)}", style="dim")
        rows.append(line)
    rows.append(Text(" " * _INDENT + "0".ljust(columns - 6) + f"{down.length_s:.0f} s".rjust(6), style="dim"))
    found = {side: _outages(one) for side, one in (("down", down), ("up", up)) if one.outages}
    if found:
        same = len(set(found.values())) == 1 and len(found) == 2
        summary = found["down"] if same else "; ".join(f"{side} {what}" for side, what in found.items())
        rows.append(_legend(NOTHING, "bold red", f"nothing passes: {summary}"))
    if any(_is_lossy(segment) for one in (down, up) for segment in one.segments):
        rows.append(_legend(LOSSY, "bold yellow", f"loses {LOSSY_RATIO:.0%} or more"))
    return Group(*rows)


def bars(one: Schedule, columns: int, top_kbit: float) -> Text:
    """Returns one direction as ``columns`` bars, whose height is the mean rate relative to ``top_kbit``.

    A column with any outage or heavy loss in it, however short, is marked instead, so that none is hidden.
    """
    drawn = Text(no_wrap=True)
    step_s = one.length_s / columns
    first = 0
    for column in range(columns):
        starts_s, ends_s = column * step_s, (column + 1) * step_s
        while one.segments[first].ends_s <= starts_s and first + 1 < len(one.segments):
            first += 1
        inside = _beginning_before(ends_s, one.segments[first:])
        if any(segment.shape is None for segment in inside):
            drawn.append(NOTHING, style="bold red")
        elif any(_is_lossy(segment) for segment in inside):
            drawn.append(LOSSY, style="bold yellow")
        else:
            height = _mean_kbit(inside, starts_s, ends_s) / top_kbit if top_kbit > 0 else 1.0
            drawn.append(BARS[min(len(BARS) - 1, int(height * len(BARS)))], style="green")
    return drawn


def _beginning_before(ends_s: float, segments: Sequence[Segment]) -> list[Segment]:
    return list(itertools.takewhile(lambda segment: segment.starts_s < ends_s - 1e-9, segments))


def _mean_kbit(inside: Sequence[Segment], starts_s: float, ends_s: float) -> float:
    kbits = sum(
        (min(one.ends_s, ends_s) - max(one.starts_s, starts_s)) * (one.shape.rate_kbit or 0.0)
        for one in inside
        if one.shape is not None
    )
    return kbits / (ends_s - starts_s)


def _is_lossy(segment: Segment) -> bool:
    return segment.shape is not None and segment.shape.loss_ratio >= LOSSY_RATIO


def _legend(mark: str, style: str, meaning: str) -> Text:
    legend = Text(" " * _INDENT)
    legend.append(mark, style=style)
    legend.append(f" {meaning}", style="dim")
    return legend


def needs(feasibility: Feasibility) -> Table:
    """Returns a table of call formats: what each needs, and for what share of the time the link carries it."""
    partly = any(0.0 < ratio < 1.0 for fit in feasibility.fits for ratio in (fit.down_ratio, fit.up_ratio))
    of_time = " of the time" if partly else ""
    table = Table(
        "what a call needs, each way", "kbit/s", "loss", f"down{of_time}", f"up{of_time}", box=None, header_style="dim"
    )
    for fit in feasibility.fits:
        most = f"≤{fit.format.loss_max_ratio:.0%}"
        table.add_row(
            fit.format.title, f"{fit.format.wire_kbit:.0f}", most, _share(fit.down_ratio), _share(fit.up_ratio)
        )
    return table


def verdict_style(feasibility: Feasibility) -> str:
    """Returns the style of the closing sentence: green when every format fits, red when none does."""
    fitting = [fit for fit in feasibility.fits if fit.both_ways]
    if not any(fit.sometimes for fit in feasibility.fits):
        return "bold red"
    return "bold green" if len(fitting) == len(feasibility.fits) else "bold yellow"


def _rate(direction: Direction) -> str:
    rate = "unlimited" if direction.rate_kbit is None else f"{direction.rate_kbit:g} kbit/s"
    return f"{rate} (mean)" if direction.trace else rate


def _share(ratio: float) -> Text:
    if ratio >= 1.0:
        return Text("fits", style="green")
    if ratio <= 0.0:
        return Text("does not fit", style="red")
    return Text(f"fits {min(ratio, 0.999):.1%}", style="yellow")


def _outages(one: Schedule) -> str:
    found = [outage.lasts_s for outage in one.outages]
    if len(found) == 1:
        return f"once, for {found[0]:.1f} s"
    return f"{len(found)} times, {sum(found):.1f} s in all, {max(found):.1f} s at most"


def _phases(profile: NetworkProfile) -> Table:
    table = Table("from", "for", "rate", "one way", "jitter", "loss", box=None, header_style="dim")
    at_s = 0.0
    for place, phase in enumerate(profile.phases):
        last = place == len(profile.phases) - 1 and not profile.repeat
        lasts = "the rest" if last else f"{phase.lasts_s:g} s"
        table.add_row(f"{at_s:g} s", lasts, *_phase(profile, phase))
        at_s += phase.lasts_s
    if profile.repeat:
        table.add_row(f"{at_s:g} s", "", "repeats", "", "", "", style="dim")
    return table


def _phase(profile: NetworkProfile, phase: ProfilePhase) -> list[Text | str]:
    if phase.outage:
        return [Text("nothing passes", style="bold red"), "", "", ""]
    down, up = phase.down or profile.down, phase.up or profile.up
    return [
        f"{kbit(down.rate_kbit)}/{kbit(up.rate_kbit)}",
        f"{down.owd_ms:g}/{up.owd_ms:g} ms",
        f"{down.jitter_ms:g}/{up.jitter_ms:g} ms",
        f"{down.loss_ratio:.2%}/{up.loss_ratio:.2%}" if down.loss_ratio or up.loss_ratio else "0",
    ]


def _trace(trace: Trace, direction: Direction) -> str:
    if trace.process is None:
        return f"recorded trace {trace.file}, repeated"
    made = trace.process
    return (
        f"random rate, {direction.rate_kbit or 0:g} kbit/s on average, correlated over {made.coherence_s:g} s; gaps of "
        f"{made.gap_median_s:g} s (median, at most {made.gap_longest_s:g} s) after {made.gap_every_s:g} s of service "
        "on average"
    )

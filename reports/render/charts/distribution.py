"""Draws distributions: a cumulative curve for each group, or stacked columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from reports.render.charts.frame import Frame, horizontal_scale, log_ticks, round_ticks, short, vertical_scale
from reports.render.charts.timeline_chart import Bound
from reports.text import counted, grouped


@dataclass(frozen=True, slots=True)
class DistributionCurve:
    """A group's values at evenly spaced shares: ``quantiles[i]`` is not exceeded by ``i / (len - 1)`` of them."""

    name: str
    colour: str
    n: int
    quantiles: Sequence[float]


@dataclass(frozen=True, slots=True)
class ColumnStack:
    """A group's count in each column."""

    name: str
    colour: str
    counts: Sequence[int]


def cumulative_chart(
    title: str, curves: Sequence[DistributionCurve], label: str, unit: str, bound: Bound | None = None
) -> str:
    """Draws the share of calls at or below each value, on a logarithmic axis, one curve a group."""
    positive = [value for curve in curves for value in curve.quantiles if value > 0]
    if not positive:
        return ""
    low, high = min(positive) / 1.15, max(positive) * 1.15
    if bound and bound.value < high * 12:
        high = max(high, bound.value * 1.15)
    frame = Frame(title, horizontal_scale(low, high, log=True), vertical_scale(1.0))
    frame.y_axis([(share, f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1.0)], "share of calls at or below")
    frame.x_axis([(value, short(value)) for value in log_ticks(low, high)], label)
    if bound:
        frame.vertical_limit(bound.value, bound.label)
    for curve in curves:
        frame.marks.append(_steps(frame, curve, unit))
    return frame.svg()


def column_chart(title: str, low: float, width: float, stacks: Sequence[ColumnStack], label: str) -> str:
    """Draws stacked columns of ``width`` from ``low`` on."""
    totals = [sum(counts) for counts in zip(*(stack.counts for stack in stacks), strict=True)]
    if not any(totals):
        return ""
    high = low + width * len(totals)
    frame = Frame(title, horizontal_scale(low, high), vertical_scale(max(totals) * 1.06))
    frame.y_axis([(value, short(value)) for value in round_ticks(0, frame.y.high)], "calls")
    frame.x_axis([(value, f"{value:g}") for value in round_ticks(low, high)], label)
    below = [0] * len(totals)
    for stack in stacks:
        for place, count in enumerate(stack.counts):
            if count:
                left, right = frame.x.px(low + place * width), frame.x.px(low + (place + 1) * width)
                top, bottom = frame.y.px(below[place] + count), frame.y.px(below[place])
                frame.marks.append(
                    f'<rect class="bar {escape(stack.colour)}" x="{left + 0.7:.1f}" y="{top}" '
                    f'width="{right - left - 1.4:.1f}" height="{max(0.4, bottom - top - 0.6):.1f}"/>'
                )
            below[place] += count
    frame.hover_columns([low + place * width for place in range(len(totals) + 1)], _tips(low, width, stacks, totals))
    return frame.svg()


def _tips(low: float, width: float, stacks: Sequence[ColumnStack], totals: Sequence[int]) -> list[str]:
    tips = []
    for place, total in enumerate(totals):
        lines = [f"{low + place * width:.1f} to {low + (place + 1) * width:.1f}: {counted(total, 'call')}"]
        lines += [f"{stack.name}: {stack.counts[place]}" for stack in stacks if stack.counts[place]]
        tips.append("\n".join(lines))
    return tips


def _steps(frame: Frame, curve: DistributionCurve, unit: str) -> str:
    last = len(curve.quantiles) - 1
    points = [(frame.x.px(value), frame.y.px(place / last)) for place, value in enumerate(curve.quantiles)]
    path = f"M{points[0][0]} {points[0][1]}" + "".join(f"H{x}V{y}" for x, y in points[1:])
    p50, p95 = curve.quantiles[round(last * 0.5)], curve.quantiles[round(last * 0.95)]
    tip = f"{curve.name}: {counted(curve.n, 'call')}\nmedian {grouped(p50)} {unit}\np95 {grouped(p95)} {unit}"
    return (
        f'<g class="curve"><path class="line {escape(curve.colour)}" d="{path}"/>'
        f'<path class="wide" d="{path}"/><title>{escape(tip)}</title></g>'
    )

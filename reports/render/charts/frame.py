"""Draws the plot area that every chart of the report shares: scales, grid, axis labels, tooltips.

The report draws its charts here, in Python, because ``report.html`` must show them without a script and in print. The
live page draws its own in the browser (``loadtests/web``), because its numbers change each second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH = 440
HEIGHT = 238
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 26, 34
"""Narrow enough that the labels stay readable when a phone scales the drawing down to its screen."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to pixels; ``log`` scales need positive ends."""

    low: float
    high: float
    start_px: float
    end_px: float
    log: bool = False

    def px(self, value: float) -> float:
        """Returns the place of a value in pixels, inside the plot."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(at, self.low))
        share = 0.5 if high == low else (at - low) / (high - low)
        return round(self.start_px + share * (self.end_px - self.start_px), 1)


@dataclass(slots=True)
class Frame:
    """A chart in the making: add marks, then call ``svg``."""

    title: str
    """What the chart shows, for screen readers."""
    x: Scale
    y: Scale
    marks: list[str] = field(default_factory=list)

    def svg(self) -> str:
        """Returns the finished drawing."""
        return (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">'
            + "".join(self.marks)
            + "</svg>"
        )

    def x_axis(self, ticks: Iterable[tuple[float, str]], label: str) -> None:
        """Adds labels below the plot, and what they count."""
        bottom = HEIGHT - BOTTOM
        for value, text in ticks:
            at = self.x.px(value)
            self.marks.append(f'<line class="tick" x1="{at}" x2="{at}" y1="{bottom}" y2="{bottom + 4}"/>')
            anchor = "end" if at > WIDTH - RIGHT - 12 else "middle"
            self.marks.append(
                f'<text class="tick" x="{at}" y="{bottom + 16}" text-anchor="{anchor}">{escape(text)}</text>'
            )
        middle = (LEFT + WIDTH - RIGHT) / 2
        self.marks.append(
            f'<text class="axis" x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(label)}</text>'
        )

    def y_axis(self, ticks: Iterable[tuple[float, str]], label: str = "") -> None:
        """Adds grid lines with their labels at the left, and above them what they count."""
        if label:
            self.marks.append(f'<text class="axis" x="2" y="11">{escape(label)}</text>')
        for value, text in ticks:
            at = self.y.px(value)
            self.marks.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
            self.marks.append(f'<text class="tick" x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{escape(text)}</text>')

    def horizontal_limit(self, value: float, label: str) -> None:
        """Adds a dashed line at a limit on the y axis."""
        if not self.y.low <= value <= self.y.high:
            return
        at = self.y.px(value)
        self.marks.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        self.marks.append(
            f'<text class="limit" x="{WIDTH - RIGHT}" y="{at - 4}" text-anchor="end">{escape(label)}</text>'
        )

    def vertical_limit(self, value: float, label: str) -> None:
        """Adds a dashed line at a limit on the x axis."""
        if not self.x.low <= value <= self.x.high:
            return
        at = self.x.px(value)
        anchor, shift = ("end", -4) if at > WIDTH / 2 else ("start", 4)
        self.marks.append(f'<line class="limit" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        where = f'x="{at + shift}" y="{HEIGHT - BOTTOM - 6}" text-anchor="{anchor}"'
        self.marks.append(f'<text class="limit" {where}>{escape(label)}</text>')

    def fault_marker(self, value: float, what: str) -> None:
        """Adds a vertical mark at the time of a fault."""
        at = self.x.px(value)
        self.marks.append(
            f'<g class="fault"><line x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<path d="M{at - 5} {TOP - 8}h10l-5 8z"/><title>{escape(what)}</title></g>'
        )

    def hover_columns(self, edges: Sequence[float], tips: Sequence[str]) -> None:
        """Adds invisible columns between neighbouring ``edges``, each with its tooltip."""
        for left, right, tip in zip(edges, edges[1:], tips, strict=False):
            start, end = self.x.px(left), self.x.px(right)
            self.marks.append(
                f'<rect class="hit" x="{start}" y="{TOP}" width="{max(0.5, round(end - start, 1))}" '
                f'height="{HEIGHT - BOTTOM - TOP}"><title>{escape(tip)}</title></rect>'
            )


def horizontal_scale(low: float, high: float, *, log: bool = False) -> Scale:
    """Returns the horizontal scale of the plot area."""
    return Scale(low, high, LEFT, WIDTH - RIGHT, log)


def vertical_scale(high: float, low: float = 0.0) -> Scale:
    """Returns the vertical scale of the plot area."""
    return Scale(low, high, HEIGHT - BOTTOM, TOP)


def round_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Returns round numbers that divide ``low`` to ``high`` into about ``count`` parts."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 10) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Returns 1, 2 and 5 times powers of ten, thinned to powers alone when there are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    inside = [value for value in fine if low <= value <= high]
    return inside if len(inside) <= 7 else [10.0**power for power in powers if low <= 10.0**power <= high]


def short(value: float) -> str:
    """Returns a tick label: ``1.5k`` for 1500."""
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    if abs(value) >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}"

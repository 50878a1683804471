"""Draws lines over the seconds of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from reports.render.charts.frame import HEIGHT, Frame, horizontal_scale, round_ticks, short, vertical_scale
from reports.text import clock, grouped


@dataclass(frozen=True, slots=True)
class Series:
    """One line; ``None`` is a moment without a value and breaks it. ``colour`` is a class of the style sheet."""

    name: str
    colour: str
    values: Sequence[float | None]
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit across the chart."""

    value: float
    label: str


def timeline_chart(
    title: str,
    seconds: Sequence[float],
    step_s: float,
    series: Sequence[Series],
    *,
    unit: str = "",
    bound: Bound | None = None,
    faults: Sequence[tuple[float, str]] = (),
) -> str:
    """Draws values that each stand for the ``step_s`` seconds from ``seconds[i]`` of the run. Faults are marked."""
    if not seconds:
        return ""
    highest = max([value for line in series for value in line.values if value is not None], default=0.0)
    if bound:
        highest = max(highest, bound.value * 1.1)
    frame = Frame(title, horizontal_scale(seconds[0], seconds[-1] + step_s), vertical_scale(highest * 1.06 or 1.0))
    frame.y_axis([(value, short(value)) for value in round_ticks(0, frame.y.high)], unit)
    frame.x_axis(
        [(value, clock(value)) for value in time_ticks(seconds[0], seconds[-1] + step_s)], "time in the run (min:s)"
    )
    for line in series:
        frame.marks.append(_line(frame, seconds, line))
    if bound:
        frame.horizontal_limit(bound.value, bound.label)
    tips = [_tip(at_s, index, series, unit) for index, at_s in enumerate(seconds)]
    frame.hover_columns([*seconds, seconds[-1] + step_s], tips)
    for at_s, what in faults:
        frame.fault_marker(at_s, f"{clock(at_s)} {what}")
    return frame.svg()


def time_ticks(low_s: float, high_s: float) -> list[float]:
    """Moments at round minutes or parts of them."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    step = next((step for step in steps if (high_s - low_s) / step <= 6), 86400)
    first = int(-(-low_s // step))
    return [float(place * step) for place in range(first, int(high_s // step) + 1)]


def _tip(at_s: float, index: int, series: Sequence[Series], unit: str) -> str:
    lines = [clock(at_s)]
    for line in series:
        value = line.values[index]
        if value is not None:
            lines.append(f"{line.name}: {grouped(round(value, 2))}{f' {unit}' if unit else ''}")
    return "\n".join(lines)


def _line(frame: Frame, seconds: Sequence[float], line: Series) -> str:
    runs: list[list[tuple[float, float]]] = [[]]
    for at_s, value in zip(seconds, line.values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((frame.x.px(at_s), frame.y.px(value)))
    paths = []
    for run in filter(None, runs):
        points = "L".join(f"{x} {y}" for x, y in run)
        if line.filled:
            floor = HEIGHT - 34
            paths.append(
                f'<path class="area {escape(line.colour)}" d="M{run[0][0]} {floor}L{points}L{run[-1][0]} {floor}z"/>'
            )
        paths.append(f'<path class="line {escape(line.colour)}" d="M{points}{"h0.5" if len(run) == 1 else ""}"/>')
    return "".join(paths)

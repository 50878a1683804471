"""Draws the saturation curve in the terminal, or into a picture file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import plotille

from bedrock.errors import EnvironmentLacks, InputError, Problem
from calls.bench.media import MediaBench
from calls.bench.step import LATE_LIMIT_MS, BenchStep

PICTURE_KINDS = (".svg", ".png")
_WIDTH, _HEIGHT = 64, 10
_COLOURS = {"engine": "#1f6feb", "aiortc": "#d1571b", "video": "#2da44e"}
_LABELS = {"engine": "ringfence, audio", "aiortc": "stock aiortc, audio", "video": "ringfence, video"}


def steps_of_line(steps: Sequence[BenchStep], which: str) -> list[BenchStep]:
    """Returns the levels of one line (engine, aiortc or video), fewest calls first; a level measured twice, last."""
    media = "video" if which == "video" else "audio"
    arm = "aiortc" if which == "aiortc" else "engine"
    levels = {step.calls: step for step in steps if (step.arm, step.media) == (arm, media)}
    return [levels[calls] for calls in sorted(levels)]


def draw_curve(steps: Sequence[BenchStep], which: str) -> str:
    """Returns CPU over calls of one line, for a terminal."""
    line = steps_of_line(steps, which)
    if not line:
        return ""
    figure = plotille.Figure()
    figure.width, figure.height, figure.with_colors = _WIDTH, _HEIGHT, False
    figure.x_label, figure.y_label = "calls", "% of core"
    figure.register_label_formatter(float, _whole)
    figure.register_label_formatter(int, _whole)
    figure.set_x_limits(min_=0, max_=max(1, line[-1].calls))
    figure.set_y_limits(min_=0, max_=100)
    figure.plot([0, *(step.calls for step in line)], [0, *(min(100.0, 100 * step.cpu_ratio) for step in line)])
    broken = [step for step in line if step.broken_by()]
    figure.text(
        [step.calls for step in broken], [min(100.0, 100 * step.cpu_ratio) for step in broken], ["x"] * len(broken)
    )
    return str(figure.show())


def check_picture(path: Path) -> None:
    """Raises InputError for a kind of file that cannot be drawn, or a folder that does not exist."""
    if path.suffix.lower() not in PICTURE_KINDS:
        message = f"'{path.name}' must end in {' or '.join(PICTURE_KINDS)}"
        raise InputError([Problem("command line", "--picture", message)])
    if not path.parent.is_dir():
        raise InputError([Problem("command line", "--picture", f"there is no folder '{path.parent}'")])


def write_picture(bench: MediaBench, path: Path) -> None:
    """Draws CPU, lateness and the cost of a call over concurrency. Raises EnvironmentLacks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 10), layout="constrained")
    FigureCanvasAgg(figure)
    cpu, late, cost = figure.subplots(3, 1, sharex=True)
    for which, colour in _COLOURS.items():
        line = steps_of_line(bench.curve, which)
        if not line:
            continue
        calls = [step.calls for step in line]
        style = {"color": colour, "marker": "o", "markersize": 4, "label": _LABELS[which]}
        cpu.plot(calls, [100 * step.cpu_ratio for step in line], **style)
        late.plot(calls, [step.send_late_p99_ms for step in line], **style)
        cost.plot(calls, [step.cpu_ms_per_call_second for step in line], **style)
        broken = [step for step in line if step.broken_by()]
        late.scatter(
            [step.calls for step in broken],
            [step.send_late_p99_ms for step in broken],
            color="#cf222e",
            marker="x",
            zorder=3,
        )
    late.axhline(LATE_LIMIT_MS, color="#cf222e", linewidth=1, linestyle="--")
    late.annotate(f"limit {LATE_LIMIT_MS:g} ms", (1, LATE_LIMIT_MS), color="#cf222e", fontsize=8, va="bottom")
    cpu.set(ylabel="core in use (%)", ylim=(0, 105), title=_title(bench))
    late.set(ylabel="send lateness p99 (ms)", yscale="log")
    cost.set(ylabel="CPU a call (ms each second)", yscale="log", xlabel="two-way calls at the same time", xscale="log")
    for panel in (cpu, late, cost):
        panel.grid(alpha=0.3)
    cpu.legend(loc="upper left", frameon=False)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise EnvironmentLacks(f"the picture could not be written: {error.strerror}") from error


def _title(bench: MediaBench) -> str:
    parts = [f"ringfence {bench.engine.calls_per_core}", f"stock aiortc {bench.aiortc.calls_per_core}"]
    ratio = f": {bench.ratio:.0f} times as many" if bench.ratio else ""
    return f"Calls on one core ({bench.machine.processor}): {', '.join(parts)}{ratio}"


def _whole(value: float, chars: int, *, delta: float = 0.0, left: bool = False) -> str:
    text = f"{value:.0f}"
    return text.ljust(chars) if left else text.rjust(chars)

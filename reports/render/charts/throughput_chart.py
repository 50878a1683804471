"""Draws throughput against the offered load: the steps of a knee search, and the scalability law fitted to them."""

from __future__ import annotations

from html import escape

from reports.render.charts.frame import Frame, horizontal_scale, round_ticks, short, vertical_scale
from reports.result.stepped_load_result import KneeResult, StepResult, UslFit
from reports.text import counted, grouped

COLOURS = {"PASS": "c1", "FAIL": "bad", "INCONCLUSIVE": "c2", "INVALID": "c3"}
CURVE_POINTS = 80


def throughput_chart(knee: KneeResult) -> str:
    """Draws every step with its 95 % interval; the law dashed; the bracket of the capacity upright."""
    if not knee.steps:
        return ""
    furthest = max(step.concurrent_calls for step in knee.steps) * 1.08
    highest = max(step.judgement.setups_per_s_high for step in knee.steps) * 1.08
    frame = Frame(
        "set-ups a second against calls offered", horizontal_scale(0, furthest), vertical_scale(highest or 1.0)
    )
    frame.y_axis([(value, short(value)) for value in round_ticks(0, frame.y.high)], "set-ups a second")
    frame.x_axis([(value, short(value)) for value in round_ticks(0, furthest)], "calls offered at once")
    if knee.fit is not None:
        frame.marks.append(_law(frame, knee.fit, furthest))
    if knee.low_calls is not None:
        frame.vertical_limit(knee.low_calls, "held")
    if knee.high_calls is not None:
        frame.vertical_limit(knee.high_calls, "broke")
    frame.marks += [_step(frame, step) for step in knee.steps]
    return frame.svg()


def _law(frame: Frame, fit: UslFit, furthest: float) -> str:
    offered = [furthest * place / CURVE_POINTS for place in range(CURVE_POINTS + 1)]
    points = "L".join(f"{frame.x.px(at)} {frame.y.px(fit.setups_per_s(at))}" for at in offered)
    return f'<path class="line c2" stroke-dasharray="5 4" d="M{points}"/>'


def _step(frame: Frame, step: StepResult) -> str:
    judged = step.judgement
    at = frame.x.px(step.concurrent_calls)
    low, high = frame.y.px(judged.setups_per_s_low), frame.y.px(judged.setups_per_s_high)
    tip = (
        f"{step.name}: {judged.verdict}\n{grouped(judged.setups_per_s)} set-ups a second of "
        f"{grouped(judged.attempts_per_s)} attempted\n{counted(judged.calls, 'call')}"
    )
    return (
        f'<g class="{COLOURS[judged.verdict]}"><path class="line" d="M{at} {low}V{high}"/>'
        f'<circle cx="{at}" cy="{frame.y.px(judged.setups_per_s)}" r="4.5" style="fill:var(--k)"/>'
        f"<title>{escape(tip)}</title></g>"
    )

"""Draws the confidence interval of a rule against its target, with the good side shaded."""

from __future__ import annotations

from html import escape

from reports.render.charts.frame import Scale
from reports.result.summary import RuleResult
from reports.text import bounds, figure

WIDTH, HEIGHT = 200, 30
MIDDLE = 15


def interval_bar(rule: RuleResult) -> str:
    """Draws one rule. An open end runs to the edge. Returns an empty text when nothing was measured."""
    if rule.value is None or rule.limit is None:
        return ""
    known = [value for value in (rule.value, rule.low, rule.high, rule.limit) if value is not None]
    low, high = min(known), max(known)
    pad = (high - low) * 0.25 or abs(high) * 0.5 or 1.0
    scale = Scale(low - pad, high + pad, 2, WIDTH - 2)
    if rule.unit == "ratio":
        scale = Scale(max(0.0, low - pad), min(1.0, high + pad), 4, WIDTH - 4)
    limit_px, value_px = scale.px(rule.limit), scale.px(rule.value)
    good_left = rule.objective.startswith("<")
    good_start, good_end = (0.0, limit_px) if good_left else (limit_px, float(WIDTH))
    left = 0.0 if rule.low is None else scale.px(rule.low)
    right = float(WIDTH) if rule.high is None else scale.px(rule.high)
    tip = f"{figure(rule.value, rule.unit)}, {bounds(rule.low, rule.high, rule.unit)}; target {rule.objective}"
    return (
        f'<svg class="interval v-{rule.verdict.lower()}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(tip)}"><title>{escape(tip)}</title>'
        f'<rect class="good" x="{good_start:.1f}" y="5" width="{max(0.0, good_end - good_start):.1f}" height="20"/>'
        f'<line class="track" x1="0" x2="{WIDTH}" y1="{MIDDLE}" y2="{MIDDLE}"/>'
        f'<rect class="span" x="{left:.1f}" y="{MIDDLE - 3}" width="{max(1.0, right - left):.1f}" height="6" rx="3"/>'
        f'<circle class="point" cx="{value_px}" cy="{MIDDLE}" r="5"/>'
        f'<line class="limit" x1="{limit_px}" x2="{limit_px}" y1="2" y2="{HEIGHT - 2}"/></svg>'
    )

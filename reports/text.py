"""Formats figures for people, in the same way on the terminal, the page and the comment."""

from __future__ import annotations

import math


def figure(value: float | None, unit: str) -> str:
    """Returns a figure with its unit: a share as percent, other numbers rounded, ``n/a`` for none."""
    if value is None or math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "unbounded"
    if unit == "ratio":
        return f"{percent(value)} %"
    number = grouped(value)
    return f"{number} {unit}" if unit else number


def percent(ratio: float) -> str:
    """Returns a share in percent. Only an exact 1 becomes 100, and only an exact 0 becomes 0."""
    value = ratio * 100
    if 0 < value < 0.1 or 99.9 < value < 100:
        return f"{math.floor(value * 100) / 100:.2f}" if value > 50 else f"{math.ceil(value * 100) / 100:.2f}"
    return f"{value:.1f}".removesuffix(".0")


def grouped(value: float) -> str:
    """Returns a rounded number with a space between thousands."""
    if not math.isfinite(value):
        return "n/a" if math.isnan(value) else "unbounded"
    if value == int(value):
        return f"{int(value):,}".replace(",", " ")
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def bounds(low: float | None, high: float | None, unit: str) -> str:
    """Returns an interval. An end that too few calls left open is an ellipsis."""
    left = "…" if low is None else figure(low, unit).removesuffix(" %").removesuffix(f" {unit}" if unit else "")
    return f"{left} to {'…' if high is None else figure(high, unit)}"


def clock(seconds: float) -> str:
    """Returns a duration as ``1:23`` or ``1:02:03``."""
    if not math.isfinite(seconds):
        return "n/a"
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Returns a number with its noun: ``1 call``, ``2 calls``."""
    return f"{grouped(number)} {noun if number == 1 else plural or noun + 's'}"

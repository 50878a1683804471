"""Computes quantiles of measured values by nearest rank, as DuckDB's ``quantile_disc`` and our histograms do."""

from __future__ import annotations

import math
from collections.abc import Iterable


def quantile(values: Iterable[float], share: float) -> float | None:
    """Returns the smallest of ``values`` that at least ``share`` (0..1) of them do not exceed; None without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None

"""Bounds a quantile exactly, and finds the groups that fail more often than others. Each call is one observation.

Every interval here has two one-sided bounds, each at ``confidence``. A decision at one end is wrong with probability at
most ``1 - confidence``. Both ends together hold the true value with probability ``2 * confidence - 1``.

``scipy.stats`` is imported where it is needed: the import takes a second of CPU time, and most runs need no test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import scipy


@dataclass(frozen=True, slots=True)
class QuantileRanks:
    """Which order statistics (1 = the smallest) bound a quantile; None where n is too small to bound that side."""

    point: int
    low: int | None
    high: int | None


def quantile_ranks(n: int, q: float, confidence: float = 0.95) -> QuantileRanks:
    """The order statistics that estimate and bound the ``q`` quantile of any continuous distribution.

    The number of values below the true quantile is Binomial(n, q). So the r-th smallest is a lower bound when
    P(count >= r) >= confidence, and the s-th smallest an upper bound when P(count <= s - 1) >= confidence.
    Source: H. David and H. Nagaraja, "Order Statistics", 3rd ed. (2003), section 7.1. The point is the ceil(n*q)-th.
    Raises ValueError for n < 1 or a ``q`` outside (0, 1).
    """
    if n < 1 or not 0.0 < q < 1.0:
        raise ValueError(f"no quantile {q} of {n} values")
    more_than, at_most = scipy.special.bdtrc, scipy.special.bdtr
    low = _near(1.0 - confidence, n, q)
    while low > 0 and more_than(low - 1, n, q) < confidence:
        low -= 1
    while low < n and more_than(low, n, q) >= confidence:
        low += 1
    below = _near(confidence, n, q)
    while below > 0 and at_most(below - 1, n, q) >= confidence:
        below -= 1
    while at_most(below, n, q) < confidence:
        below += 1
    high = below + 1
    return QuantileRanks(
        point=min(n, max(1, math.ceil(n * q - 1e-9))),
        low=low if low >= 1 else None,
        high=high if high <= n else None,
    )


def _near(share: float, n: int, q: float) -> int:
    """Returns a count at which Binomial(n, q) is at ``share``, give or take one: where to begin to look."""
    return min(n, max(0, round(float(scipy.special.bdtrik(share, n, q)))))


def smallest_n_for_upper_bound(q: float, confidence: float = 0.95) -> int:
    """How many values an upper bound of the ``q`` quantile needs: ``1 - q**n >= confidence``. 59 for the 95th."""
    return math.ceil(math.log(1.0 - confidence) / math.log(q) - 1e-12)


def smallest_n_for_share(share: float, confidence: float = 0.95) -> int:
    """How many calls without one failure prove a success share of ``share``: ``share**n <= 1 - confidence``."""
    return math.ceil(math.log(1.0 - confidence) / math.log(share) - 1e-12)


def fisher_p_value(failed: int, n: int, others_failed: int, others_n: int) -> float:
    """Returns how likely a group fails at least so often if it is no worse than the others.

    This is Fisher's exact test with one side: R. Fisher, "On the interpretation of chi-squared from contingency
    tables", JRSS 85 (1922).
    """
    from scipy.stats import fisher_exact

    table = [[failed, n - failed], [others_failed, others_n - others_failed]]
    return float(fisher_exact(table, alternative="greater").pvalue)


def benjamini_hochberg(p_values: Sequence[float], false_discovery_rate: float = 0.05) -> list[bool]:
    """Returns which hypotheses to reject, in the order of the input.

    At most ``false_discovery_rate`` of the rejections are expected to be false. Source: Y. Benjamini and Y. Hochberg,
    "Controlling the false discovery rate", JRSS B 57 (1995).
    """
    from scipy.stats import false_discovery_control

    if not p_values:
        return []
    return [bool(adjusted <= false_discovery_rate) for adjusted in false_discovery_control(p_values, method="bh")]

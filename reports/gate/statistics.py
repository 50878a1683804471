"""Exact intervals for shares and quantiles, and the false-discovery correction. The unit is always the call.

Every interval here has two one-sided bounds, each at ``confidence``: a decision taken at one end is wrong with
probability at most ``1 - confidence``. The two ends together hold the truth with ``2 * confidence - 1``.
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
    """How likely this group would fail at least so often if it were no worse than the others.

    Source: R. Fisher, "On the interpretation of chi-squared from contingency tables", JRSS 85 (1922): the one-sided
    exact test, a hypergeometric tail.
    """
    all_failed = failed + others_failed
    logs = [
        _log_choices(n, count) + _log_choices(others_n, all_failed - count)
        for count in range(max(failed, all_failed - others_n), min(n, all_failed) + 1)
    ]
    of_all = _log_choices(n + others_n, all_failed)
    return min(1.0, math.fsum(math.exp(one - of_all) for one in logs))


def _log_choices(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def benjamini_hochberg(p_values: Sequence[float], false_discovery_rate: float = 0.05) -> list[bool]:
    """Which hypotheses to reject so that at most this share of the rejections is expected to be false.

    Source: Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", JRSS B 57 (1995): reject the k
    smallest, k the largest with ``p_(k) <= k / m * rate``. The answer is in the order of the input.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    kept = 0
    for rank, index in enumerate(order, start=1):
        if p_values[index] <= rank / len(p_values) * false_discovery_rate:
            kept = rank
    rejected = [False] * len(p_values)
    for index in order[:kept]:
        rejected[index] = True
    return rejected

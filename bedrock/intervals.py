"""Computes exact bounds of a proportion and of a Poisson count.

Each has two one-sided bounds at ``confidence``: a decision at one end is wrong with probability at most ``1 -
confidence``. Both ends together contain the true value with ``2 * confidence - 1``.
"""

from __future__ import annotations

from dataclasses import dataclass

# scipy is imported where it is needed, because it is slow and few commands compute a bound.


@dataclass(frozen=True, slots=True)
class Bounds:
    """A lower and an upper bound; infinite where the sample is too small to bound that side."""

    low: float
    high: float


def proportion_bounds(hits: int, n: int, confidence: float = 0.95) -> Bounds:
    """Returns the bounds of a proportion after ``hits`` of ``n``, exact at every n.

    Source: C. Clopper and E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26 (1934), in its beta-quantile form. Raises ValueError unless ``0 <= hits <= n``.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is not a share")
    if n == 0:
        return Bounds(0.0, 1.0)
    from scipy.special import betaincinv

    alpha = 1.0 - confidence
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, alpha))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1.0 - alpha))
    return Bounds(low, high)


def count_bounds(count: int, confidence: float = 0.95) -> Bounds:
    """Returns the bounds of the mean of a Poisson variable of which ``count`` was observed.

    Source: F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936), by chi-squared quantiles.
    """
    from scipy.special import chdtri

    low = float(chdtri(2 * count, confidence)) / 2 if count else 0.0
    return Bounds(low, float(chdtri(2 * (count + 1), 1.0 - confidence)) / 2)

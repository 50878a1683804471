"""Bounds of shares and counts, against published tables, their own distributions, and chance."""

from __future__ import annotations

import random

import pytest
from scipy import stats

from bedrock.intervals import count_bounds, proportion_bounds


@pytest.mark.parametrize(
    ("hits", "n", "confidence", "low", "high"),
    [
        # The rule of "299 calls without a failure prove 99 %", and one failure fewer does not.
        (299, 299, 0.95, 0.9900, 1.0),
        (298, 298, 0.95, 0.98999, 1.0),
        # One failure in 300: the upper bound of the failure share is 1.57 %; none in 50 proves only < 5.8 %.
        (1, 300, 0.95, 0.000171, 0.0157),
        (0, 50, 0.95, 0.0, 0.0582),
        # Two-sided 95 % (each side 97.5 %): the published interval for 10 of 20.
        (10, 20, 0.975, 0.2720, 0.7280),
        (0, 10, 0.975, 0.0, 0.3085),
        (5, 100, 0.975, 0.0164, 0.1128),
    ],
)
def test_proportion_bounds_are_clopper_and_pearsons(
    hits: int, n: int, confidence: float, low: float, high: float
) -> None:
    found = proportion_bounds(hits, n, confidence)
    assert found.low == pytest.approx(low, abs=6e-5)
    assert found.high == pytest.approx(high, abs=6e-5)


def test_no_data_bounds_nothing_and_nonsense_is_refused() -> None:
    assert (proportion_bounds(0, 0).low, proportion_bounds(0, 0).high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 of 2"):
        proportion_bounds(3, 2)


def test_bounds_are_those_of_the_distribution_they_are_named_after() -> None:
    rng = random.Random(3)
    for _ in range(300):
        n, confidence = rng.choice([1, 30, 59, 60, 300]), rng.choice([0.9, 0.95, 0.999])
        hits = rng.randint(0, n)
        share, count = proportion_bounds(hits, n, confidence), count_bounds(hits, confidence)
        if hits:
            assert share.low == pytest.approx(stats.beta.ppf(1 - confidence, hits, n - hits + 1))
            assert stats.poisson.sf(hits - 1, count.low) == pytest.approx(1 - confidence)
        if hits < n:
            assert share.high == pytest.approx(stats.beta.ppf(confidence, hits + 1, n - hits))
        assert stats.poisson.cdf(hits, count.high) == pytest.approx(1 - confidence)


def test_bounds_hold_the_truth_at_least_as_often_as_they_say() -> None:
    """300 samples of 400 with 2 %: two ends at 99.5 % miss 3 or fewer times, more than 10 with a chance below 0.001."""
    rng = random.Random(1)
    samples = (sum(rng.random() < 0.02 for _ in range(400)) for _ in range(300))
    found = [proportion_bounds(hits, 400, 0.995) for hits in samples]
    assert sum(bounds.low <= 0.02 <= bounds.high for bounds in found) >= 290

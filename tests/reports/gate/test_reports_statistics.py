from __future__ import annotations

import itertools
import random

import pytest
from scipy import stats

from bedrock.intervals import proportion_bounds
from reports.gate.statistics import (
    benjamini_hochberg,
    fisher_p_value,
    quantile_ranks,
    smallest_n_for_share,
    smallest_n_for_upper_bound,
)


def test_299_calls_are_the_fewest_that_prove_99_percent() -> None:
    assert proportion_bounds(299, 299).low >= 0.99
    assert proportion_bounds(298, 298).low < 0.99
    assert [smallest_n_for_share(share) for share in (0.99, 0.995, 0.999)] == [299, 598, 2995]


def test_a_quantile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no quantile"):
        quantile_ranks(0, 0.5)


@pytest.mark.parametrize(("q", "fewest"), [(0.95, 59), (0.99, 299), (0.5, 5)])
def test_an_upper_bound_of_a_quantile_needs_so_many_values(q: float, fewest: int) -> None:
    assert smallest_n_for_upper_bound(q) == fewest
    assert quantile_ranks(fewest, q).high == fewest
    assert quantile_ranks(fewest - 1, q).high is None


def test_the_median_of_ten_lies_between_the_second_and_the_ninth() -> None:
    ranks = quantile_ranks(10, 0.5, 0.975)
    assert (ranks.low, ranks.point, ranks.high) == (2, 5, 9)


def test_ranks_are_the_tightest_that_hold_the_confidence() -> None:
    for n, q, confidence in itertools.product((1, 7, 58, 59, 200, 1000), (0.05, 0.5, 0.95), (0.9, 0.95)):
        ranks = quantile_ranks(n, q, confidence)
        if ranks.low is not None:
            assert stats.binom.sf(ranks.low - 1, n, q) >= confidence
            assert stats.binom.sf(ranks.low, n, q) < confidence
        if ranks.high is not None:
            assert stats.binom.cdf(ranks.high - 1, n, q) >= confidence
            assert stats.binom.cdf(ranks.high - 2, n, q) < confidence


def test_the_bounds_of_a_quantile_hold_the_truth_as_often_as_they_say() -> None:
    rng, n, q = random.Random(5), 80, 0.95
    ranks = quantile_ranks(n, q)
    assert ranks.low is not None
    assert ranks.high is not None
    below = above = 0
    for _ in range(2000):
        values = sorted(rng.random() for _ in range(n))
        below += values[ranks.high - 1] < q
        above += values[ranks.low - 1] > q
    assert below / 2000 < 0.065
    assert above / 2000 < 0.065


def test_benjamini_and_hochbergs_own_example() -> None:
    # Table of the paper's section 4.1: 15 p-values, four rejected at 0.05.
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
                0.6528, 0.7590, 1.0]  # fmt: skip
    assert benjamini_hochberg(p_values) == [True] * 4 + [False] * 11
    shuffled = list(reversed(p_values))
    assert benjamini_hochberg(shuffled) == [False] * 11 + [True] * 4
    assert benjamini_hochberg([]) == []


def test_fishers_lady_tasting_tea() -> None:
    # 3 of 4 right against 1 of 4: the textbook's one-sided p = 17/70.
    assert fisher_p_value(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert fisher_p_value(0, 4, 1, 4) == 1.0


def test_ranks_and_p_values_are_those_of_their_distributions() -> None:
    rng = random.Random(3)
    for _ in range(300):
        n, confidence, q = (
            rng.choice([1, 30, 59, 60, 300]),
            rng.choice([0.9, 0.95, 0.999]),
            rng.choice([0.01, 0.5, 0.95]),
        )
        hits, others = rng.randint(0, n), rng.randint(1, 3000)
        ranks = quantile_ranks(n, q, confidence)
        assert (ranks.low or 0) == max(rank for rank in range(n + 1) if stats.binom.sf(rank - 1, n, q) >= confidence)
        assert (ranks.high or n + 1) == min(n + 1, stats.binom.ppf(confidence, n, q) + 1)
        others_failed = rng.randint(0, others)
        tail = stats.hypergeom.sf(hits - 1, n + others, hits + others_failed, n)
        assert fisher_p_value(hits, n, others_failed, others) == pytest.approx(tail, rel=1e-7, abs=1e-300)

"""Histograms that merge: exact counts in any order, percentiles within half a percent, negative durations kept."""

from __future__ import annotations

import math
import random

import pytest

from calls.histograms import MsHistogram


def filled(seed: int, count: int) -> tuple[MsHistogram, list[float]]:
    rng = random.Random(seed)
    values = [rng.lognormvariate(4.0, 1.2) for _ in range(count)]
    histogram = MsHistogram()
    for value in values:
        histogram.record(value)
    return histogram, values


def test_merging_shares_is_the_same_as_having_counted_everything_in_one_place() -> None:
    whole, _ = filled(1, 0)
    shares = [filled(seed, 700 * seed) for seed in range(1, 6)]
    for histogram, values in shares:
        for value in values:
            whole.record(value)
        assert histogram.count == len(values)

    forwards, backwards = MsHistogram(), MsHistogram()
    for histogram, _ in shares:
        forwards.merge(histogram.to_bytes())
    for histogram, _ in reversed(shares):
        backwards.merge(histogram)

    assert forwards.to_bytes() == backwards.to_bytes() == whole.to_bytes()
    assert forwards.buckets() == whole.buckets()


@pytest.mark.parametrize("percent", [1, 50, 90, 95, 99, 99.9, 100])
def test_a_percentile_is_within_half_a_percent_of_the_exact_one(percent: float) -> None:
    histogram, values = filled(7, 20_000)
    exact = sorted(values)[max(1, math.ceil(percent / 100 * len(values))) - 1]

    assert histogram.percentile(percent) == pytest.approx(exact, rel=0.0051)


def test_negative_durations_survive_the_way_between_two_machines() -> None:
    skewed, merged = MsHistogram(), MsHistogram()
    for ms in (-12.5, -0.1, 3.0):
        skewed.record(ms)
    merged.record(5.0)
    merged.merge(skewed.to_bytes())

    assert merged.negative == 2
    assert merged.min_ms == -12.5
    assert merged.count == 4


def test_what_is_no_histogram_is_refused() -> None:
    good = filled(1, 10)[0].to_bytes()
    for bad in (b"", b"\x01", good[:-3], b"\x02" + good[1:], good[:15] + b"garbage"):
        with pytest.raises(ValueError, match="histogram"):
            MsHistogram.from_bytes(bad)


def test_an_empty_histogram_has_no_percentile() -> None:
    assert MsHistogram().percentile(95) is None
    assert MsHistogram.from_bytes(MsHistogram().to_bytes()).count == 0

from __future__ import annotations

import random

import pytest

from bedrock.quantile import quantile


def test_a_quantile_is_the_smallest_value_that_the_share_does_not_exceed() -> None:
    values = list(range(1, 101))
    random.Random(1).shuffle(values)
    assert [quantile(values, share) for share in (0.0, 0.5, 0.95, 0.99, 1.0)] == [1, 50, 95, 99, 100]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_one_value_is_every_quantile_and_none_is_none(share: float) -> None:
    assert quantile([7.0], share) == 7.0
    assert quantile([], share) is None

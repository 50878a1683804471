from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from bedrock.errors import InputError
from network_profiles import load_catalogue, load_mixes
from network_profiles.catalogue.region_mix import read_mixes

MIX = """[mixes.ours]
title = "Ours"
source = "chosen"
synthetic = true
weights = { gprs_2g = 1, lte_good = 3 }
"""


@pytest.mark.parametrize("mix_id", sorted(load_mixes()))
def test_every_mix_names_profiles_and_its_source(mix_id: str) -> None:
    mix = load_mixes()[mix_id]
    assert set(mix.weights) <= set(load_catalogue())
    assert mix.source
    assert sum(mix.shares.values()) == pytest.approx(1.0)
    assert sum(mix.generation_shares.values()) == pytest.approx(1.0)


def test_the_emerging_market_is_split_as_its_source_says() -> None:
    shares = load_mixes()["emerging_2g_3g"].generation_shares
    assert shares == pytest.approx({"2g": 0.36, "3g": 0.52, "4g": 0.12})


def test_people_are_drawn_by_weight_and_again_with_the_same_seed(tmp_path: Path) -> None:
    file = tmp_path / "mixes.toml"
    file.write_text(MIX)
    mix = read_mixes(file)["ours"]
    rng = random.Random(1)
    drawn = Counter(mix.draw(rng) for _ in range(4000))
    # Three standard errors of a quarter of 4000 are 82.
    assert drawn["gprs_2g"] == pytest.approx(1000, abs=82)
    assert sum(drawn.values()) == 4000
    assert [mix.draw(random.Random(5)) for _ in range(3)] == [mix.draw(random.Random(5)) for _ in range(3)]


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("gprs_2g = 1", "gprs = 1", "mixes.ours.weights.gprs", "did you mean 'gprs_2g'?"),
        ("gprs_2g = 1", "gprs_2g = -1", "mixes.ours.weights.gprs_2g", "must be a number from 1e-06"),
        ('source = "chosen"', "", "mixes.ours.source", "required"),
        ("synthetic", "artificial", "mixes.ours.artificial", "unknown key"),
    ],
)
def test_a_wrong_mix_is_told_by_file_and_key(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    file = tmp_path / "mixes.toml"
    file.write_text(MIX.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_mixes(file)
    assert any(one.key == key and says in str(one) for one in caught.value.problems), str(caught.value)

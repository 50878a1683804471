"""Loads region mixes: the networks that people of a region use, as weighted profiles, from ``mixes.toml``."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import BeforeValidator, Field

from bedrock.errors import InputError, Problem
from bedrock.toml_input import Written, check, read_toml
from network_profiles.catalogue.catalogue import load_catalogue, profile_name_problems
from network_profiles.model.quantity import between

MIXES_FILE = Path(__file__).parent / "mixes.toml"
Weight = Annotated[float, BeforeValidator(between(1e-6, 1e6, "(a weight, against the others of its mix)"))]


class WrittenMix(Written):
    """One mix as written in the file."""

    title: str = Field(min_length=1)
    source: str = Field(min_length=1)
    synthetic: bool
    weights: Mapping[str, Weight] = Field(min_length=1)


class MixFile(Written):
    """A file of mixes."""

    mixes: Mapping[str, WrittenMix]


@dataclass(frozen=True, slots=True)
class RegionMix:
    """Weighted profiles. ``weights`` are as written; ``shares`` sum to 1."""

    id: str
    title: str
    weights: Mapping[str, float]
    source: str
    synthetic: bool
    """Whether some weight is an engineering choice, not a published figure."""

    @property
    def shares(self) -> dict[str, float]:
        """Each profile's share of the people."""
        total = sum(self.weights.values())
        return {profile_id: weight / total for profile_id, weight in self.weights.items()}

    @property
    def generation_shares(self) -> dict[str, float]:
        """Each generation's share of the people, in the order of the catalogue."""
        shares: dict[str, float] = {}
        for profile in load_catalogue().values():
            if profile.id in self.weights:
                shares[profile.generation] = shares.get(profile.generation, 0.0) + self.shares[profile.id]
        return shares

    def draw(self, rng: random.Random) -> str:
        """Draws one person's profile id."""
        return rng.choices(list(self.weights), list(self.weights.values()))[0]


def read_mixes(file: Path) -> Mapping[str, RegionMix]:
    """Returns the mixes of ``file`` by id, in its order.

    Raises InputError with every problem of the file, unknown profiles included.
    """
    mix_file = check(MixFile, read_toml(file), str(file))
    problems: list[Problem] = []
    mixes: dict[str, RegionMix] = {}
    for mix_id, written in mix_file.mixes.items():
        for name in written.weights:
            problems += profile_name_problems(name, str(file), f"mixes.{mix_id}.weights.{name}")
        weights = MappingProxyType(dict(written.weights))
        mixes[mix_id] = RegionMix(mix_id, written.title, weights, written.source, written.synthetic)
    if problems:
        raise InputError(problems)
    return MappingProxyType(mixes)


@cache
def load_mixes() -> Mapping[str, RegionMix]:
    """Returns the built-in mixes by id. Raises InputError when one of them is wrong."""
    return read_mixes(MIXES_FILE)

"""Reads the personas (device, network and habits of a caller) and their mixes from ``personas.toml``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bedrock.errors import InputError, Problem
from bedrock.toml_input import Written, check, read_toml, unknown_name
from network_profiles import load_catalogue

PERSONAS_FILE = Path(__file__).parent / "personas.toml"


class AnswerTable(Written):
    """What a person does when it rings."""

    after_s: float = Field(ge=0.001, le=60)
    """Mean time that they let it ring."""
    jitter: float = Field(ge=0, le=1)
    """Spread around ``after_s``, as a share of it."""
    declines: float = Field(ge=0, le=1)
    ignores: float = Field(ge=0, le=1)

    @property
    def answers_ratio(self) -> float:
        """Share of incoming calls that are picked up."""
        return max(0.0, 1.0 - self.declines - self.ignores)


class Persona(Written):
    """One kind of person."""

    title: str
    device: str
    network: str
    answers: AnswerTable
    writes: float = Field(default=1.0, ge=0, le=100)
    source: str = Field(min_length=1)
    synthetic: bool


class Mix(Written):
    """Weighted personas."""

    title: str
    source: str = Field(min_length=1)
    synthetic: bool
    weights: Mapping[str, Annotated[float, Field(ge=0, le=1_000_000)]] = Field(min_length=1)


class PersonaBook(Written):
    """All of ``personas.toml``."""

    personas: Mapping[str, Persona]
    mixes: Mapping[str, Mix]


@functools.cache
def load_personas(file: Path = PERSONAS_FILE) -> PersonaBook:
    """Returns the personas and mixes. Raises InputError when a mix or a persona names something unknown."""
    book = check(PersonaBook, read_toml(file), str(file))
    problems: list[Problem] = []
    networks = load_catalogue()
    for persona_id, persona in book.personas.items():
        if persona.network and persona.network not in networks:
            key = f"personas.{persona_id}.network"
            problems.append(unknown_name(str(file), key, "network", persona.network, networks))
    for mix_id, mix in book.mixes.items():
        key = f"mixes.{mix_id}.weights"
        problems += [
            unknown_name(str(file), key, "persona", persona_id, book.personas)
            for persona_id in mix.weights
            if persona_id not in book.personas
        ]
        if sum(mix.weights.values()) <= 0 or min(mix.weights.values()) < 0:
            problems.append(Problem(str(file), key, "weights must not be negative, and not all zero"))
    if problems:
        raise InputError(problems)
    return book


def shares(mix: Mix) -> dict[str, float]:
    """Returns each persona's share of the people, summing to 1."""
    total = sum(mix.weights.values())
    return {persona_id: weight / total for persona_id, weight in mix.weights.items()}

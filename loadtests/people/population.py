"""The people of a run: who they are, who follows whom, and which worker each belongs to.

Everything comes from the seed, so that the master, which makes the accounts, and the workers, which sign the people
in, agree without sending each other thousands of names.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.people.follow_graph import follow_graph
from loadtests.plan.apportionment import deal
from loadtests.plan.personas import Mix, Persona, PersonaBook, shares
from loadtests.plan.regions import deal_networks
from network_profiles import RegionMix

SPARE_PER_WORKER = 2
"""Accounts beyond the plan's people, since Locust may deal one user more to one worker than to another."""
LEAST_PAST = 10
"""Missed calls or threads; with less of both, a person's past is not worth making."""
_FIRST_NAMES = (
    *("amara", "bola", "chidi", "deepa", "emeka", "farah", "gita", "hana", "ibrahim", "jaya", "kofi", "lakshmi", "mei"),
    *("nadia", "omar", "priya", "quan", "rosa", "sana", "tariq", "uma", "vikram", "wanjiru", "ximena", "yusuf"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """One account."""

    index: int
    name: str
    display_name: str
    password: str
    persona_id: str
    persona: Persona
    slot: int
    """The worker that signs this person in."""
    network: str
    """Network profile id of this person's access link: the region's where the plan names one, else the persona's."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a sought-after person finds in their app."""

    index: int
    missed_calls: int
    threads: int


@dataclass(frozen=True, slots=True)
class Population:
    """All people of a run."""

    people: tuple[Person, ...]
    following: tuple[tuple[int, ...], ...]
    """For each person, whom they follow."""
    contacts: tuple[tuple[int, ...], ...]
    """For each person, who follows them: whom the default callee control lets them call."""
    probes: tuple[tuple[Person, Person], ...]
    """Pairs who call each other; ``slot`` says on which worker, in the order in which a worker takes them."""
    pasts: tuple[Past, ...] = ()
    """Who has a past worth mentioning, the most sought-after first."""

    def of_slot(self, slot: int) -> list[Person]:
        """Returns the people of one worker, in the order in which they sign in."""
        return [person for person in self.people if person.slot == slot]

    def probes_of_slot(self, slot: int) -> list[tuple[Person, Person]]:
        """Returns the probe pairs of one worker."""
        return [pair for pair in self.probes if pair[0].slot == slot]


def populate(
    people: int,
    probe_pairs: int,
    mix: Mix,
    book: PersonaBook,
    slots: int,
    seed: int,
    *,
    region: RegionMix | None = None,
    probe_networks: Sequence[str] = (),
    missed_calls: int = 0,
    threads: int = 0,
) -> Population:
    """Returns the same population for the same arguments, in every process.

    Personas, and a region's networks, are dealt by quota, not drawn: shares are met to within one person on every
    worker. ``missed_calls`` and ``threads`` are what the most sought-after person has; the k-th has 1/k of it.
    """
    rng = random.Random(f"population {seed}")
    tag = hashlib.sha256(str(seed).encode()).hexdigest()[:4]
    total = (-(-people // slots) + SPARE_PER_WORKER) * slots
    per_slot = -(-total // slots)
    personas = deal(shares(mix), per_slot)
    networks = [book.personas[persona_id].network for persona_id in personas]
    if region is not None:
        networks = list(deal_networks(region, per_slot, random.Random(f"networks {seed}")))
    names = [f"{_FIRST_NAMES[index % len(_FIRST_NAMES)]}-{index:05d}-{tag}" for index in range(total)]
    made = tuple(
        _person(index, name, personas[index // slots], networks[index // slots], book, seed, index % slots)
        for index, name in enumerate(names)
    )
    graph = follow_graph(total, rng)
    followers: list[list[int]] = [[] for _ in range(total)]
    for follower, followed in enumerate(graph.following):
        for one in followed:
            followers[one].append(follower)
    calm = _calmest(mix, book)
    calm_network = book.personas[calm].network
    behind = probe_networks or (calm_network,)
    probes = tuple(
        (
            _person(
                total + 2 * pair,
                f"probe-{pair:03d}a-{tag}",
                calm,
                behind[pair // slots % len(behind)],
                book,
                seed,
                pair % slots,
            ),
            _person(total + 2 * pair + 1, f"probe-{pair:03d}b-{tag}", calm, calm_network, book, seed, pair % slots),
        )
        for pair in range(probe_pairs * slots)
    )
    pasts = tuple(
        Past(index, round(missed_calls / rank), round(threads / rank))
        for rank, index in enumerate(graph.by_popularity, start=1)
        if max(missed_calls, threads) / rank >= LEAST_PAST
    )
    return Population(made, graph.following, tuple(tuple(one) for one in followers), probes, pasts)


def accounts(population: Population) -> dict[str, list[object]]:
    """Returns the body of ``POST /admin/seed``: every account, every pair of who follows whom, and the pasts."""
    pairs = list(itertools.chain.from_iterable(population.probes))
    people = [*population.people, *pairs]
    follows: list[object] = [
        [population.people[follower].name, population.people[followed].name]
        for follower, followed_ones in enumerate(population.following)
        for followed in followed_ones
    ]
    for one, other in population.probes:
        follows += [[one.name, other.name], [other.name, one.name]]
    users: list[object] = [
        {"name": one.name, "display_name": one.display_name, "password": one.password, "controls": "following"}
        for one in people
    ]
    pasts: list[object] = [
        {"name": population.people[past.index].name, "missed_calls": past.missed_calls, "threads": past.threads}
        for past in population.pasts
    ]
    return {"users": users, "follows": follows, "pasts": pasts}


def _person(index: int, name: str, persona_id: str, network: str, book: PersonaBook, seed: int, slot: int) -> Person:
    password = hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()[:16]
    display_name = name.split("-", maxsplit=1)[0].title() + f" {index}"
    return Person(index, name, display_name, password, persona_id, book.personas[persona_id], slot, network)


def _calmest(mix: Mix, book: PersonaBook) -> str:
    """Returns the persona of the probes: no access link where the mix has one, so that they judge the load alone."""
    without = [persona_id for persona_id in mix.weights if not book.personas[persona_id].network]
    return sorted(without or mix.weights)[0]

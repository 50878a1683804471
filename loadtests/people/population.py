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

from loadtests.people.follow_graph import FollowGraph, follow_graph
from loadtests.plan.apportionment import apportion
from loadtests.plan.personas import Mix, Persona, PersonaBook, shares
from loadtests.plan.regions import apportion_networks
from network_profiles import RegionMix

SPARE_PER_WORKER = 2
"""Accounts beyond the plan's people, since Locust may deal one user more to one worker than to another."""
LEAST_HISTORY = 10
"""Missed calls or threads; with less of both, a person's past is not worth making."""
_FIRST_NAMES = (
    *("amara", "bola", "chidi", "deepa", "emeka", "farah", "gita", "hana", "ibrahim", "jaya", "kofi", "lakshmi", "mei"),
    *("nadia", "omar", "priya", "quan", "rosa", "sana", "tariq", "uma", "vikram", "wanjiru", "ximena", "yusuf"),
)


@dataclass(frozen=True, slots=True)
class Account:
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
class AccountHistory:
    """What a sought-after person finds in their app."""

    index: int
    missed_calls: int
    threads: int


@dataclass(frozen=True, slots=True)
class Population:
    """All people of a run."""

    people: tuple[Account, ...]
    following: tuple[tuple[int, ...], ...]
    """For each person, whom they follow."""
    contacts: tuple[tuple[int, ...], ...]
    """For each person, who follows them: whom the default callee control lets them call."""
    probes: tuple[tuple[Account, Account], ...]
    """Pairs who call each other; ``slot`` says on which worker, in the order in which a worker takes them."""
    histories: tuple[AccountHistory, ...] = ()
    """Who has a past worth mentioning, the most sought-after first."""

    def of_slot(self, slot: int) -> list[Account]:
        """Returns the people of one worker, in the order in which they sign in."""
        return [person for person in self.people if person.slot == slot]

    def probes_of_slot(self, slot: int) -> list[tuple[Account, Account]]:
        """Returns the probe pairs of one worker."""
        return [pair for pair in self.probes if pair[0].slot == slot]


@dataclass(frozen=True, slots=True)
class PopulationSpec:
    """The parameters of a population. Equal parameters give equal people, in every process."""

    people: int
    """People of the plan, over all workers."""
    probe_pairs: int
    """Probe pairs of each worker."""
    mix: Mix
    book: PersonaBook
    slots: int
    """Number of workers."""
    seed: int
    region: RegionMix | None = None
    """Where the networks come from. None: from each persona."""
    probe_networks: Sequence[str] = ()
    """Network profiles for one side of each probe pair, in turn."""
    missed_calls: int = 0
    """Missed calls of the most popular account. The account of rank k has 1/k of it."""
    threads: int = 0
    """Threads of the most popular account. The account of rank k has 1/k of it."""

    @property
    def tag(self) -> str:
        """Four hexadecimal digits of the seed, for the names: runs with other seeds have other people."""
        return hashlib.sha256(str(self.seed).encode()).hexdigest()[:4]


def populate(spec: PopulationSpec) -> Population:
    """Returns the people of a run.

    Personas and networks are dealt by quota, not drawn: on every worker each share is met to within one person.
    """
    people = _people(spec)
    graph = follow_graph(len(people), random.Random(f"population {spec.seed}"))
    followers: list[list[int]] = [[] for _ in people]
    for follower, followed in enumerate(graph.following):
        for one in followed:
            followers[one].append(follower)
    contacts = tuple(tuple(one) for one in followers)
    return Population(people, graph.following, contacts, _probes(spec, len(people)), _histories(spec, graph))


def _people(spec: PopulationSpec) -> tuple[Account, ...]:
    per_slot = -(-spec.people // spec.slots) + SPARE_PER_WORKER
    personas = apportion(shares(spec.mix), per_slot)
    networks = [spec.book.personas[persona_id].network for persona_id in personas]
    if spec.region is not None:
        networks = list(apportion_networks(spec.region, per_slot, random.Random(f"networks {spec.seed}")))
    return tuple(
        _account(
            spec,
            index,
            f"{_FIRST_NAMES[index % len(_FIRST_NAMES)]}-{index:05d}-{spec.tag}",
            personas[index // spec.slots],
            networks[index // spec.slots],
            index % spec.slots,
        )
        for index in range(per_slot * spec.slots)
    )


def _probes(spec: PopulationSpec, first_index: int) -> tuple[tuple[Account, Account], ...]:
    persona_id = _probe_persona(spec.mix, spec.book)
    own_network = spec.book.personas[persona_id].network
    networks = spec.probe_networks or (own_network,)

    def side(pair: int, letter: str, index: int, network: str) -> Account:
        name = f"probe-{pair:03d}{letter}-{spec.tag}"
        return _account(spec, index, name, persona_id, network, pair % spec.slots)

    return tuple(
        (
            side(pair, "a", first_index + 2 * pair, networks[pair // spec.slots % len(networks)]),
            side(pair, "b", first_index + 2 * pair + 1, own_network),
        )
        for pair in range(spec.probe_pairs * spec.slots)
    )


def _histories(spec: PopulationSpec, graph: FollowGraph) -> tuple[AccountHistory, ...]:
    return tuple(
        AccountHistory(index, round(spec.missed_calls / rank), round(spec.threads / rank))
        for rank, index in enumerate(graph.by_popularity, start=1)
        if max(spec.missed_calls, spec.threads) / rank >= LEAST_HISTORY
    )


def accounts(population: Population) -> dict[str, list[object]]:
    """Returns the body of ``POST /admin/seed``: every account, every pair of who follows whom, and the histories."""
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
    histories: list[object] = [
        {"name": population.people[past.index].name, "missed_calls": past.missed_calls, "threads": past.threads}
        for past in population.histories
    ]
    return {"users": users, "follows": follows, "pasts": histories}


def _account(spec: PopulationSpec, index: int, name: str, persona_id: str, network: str, slot: int) -> Account:
    password = hashlib.sha256(f"{spec.seed}:{name}".encode()).hexdigest()[:16]
    display_name = name.split("-", maxsplit=1)[0].title() + f" {index}"
    persona = spec.book.personas[persona_id]
    return Account(index, name, display_name, password, persona_id, persona, slot, network)


def _probe_persona(mix: Mix, book: PersonaBook) -> str:
    """Returns the persona of the probes: one without an access link, if the mix has one.

    Such probes measure the effect of the load alone.
    """
    without = [persona_id for persona_id in mix.weights if not book.personas[persona_id].network]
    return sorted(without or mix.weights)[0]

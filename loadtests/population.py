"""The people of a run: who they are, who follows whom, and which worker each belongs to.

Everything comes from the seed, so that the master, which makes the accounts, and the workers, which sign the people
in, agree without sending each other thousands of names.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import random
from dataclasses import dataclass

from loadtests.personas import Mix, Persona, PersonaBook, shares

SPARE_PER_WORKER = 2
"""Accounts beyond the plan's people, since Locust may deal one user more to one worker than to another."""
FRIENDS_MEDIAN = 12
FRIENDS_SIGMA = 0.5
FRIENDS_LEAST = 6
IDOLS_MEAN = 8.0
"""Popular people whom one follows without being followed back, on average."""
IDOL_EXPONENT = 1.0
"""Popularity of the k-th most popular person goes as 1/k: Zipf's law, the tail of follower counts."""
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

    def of_slot(self, slot: int) -> list[Person]:
        """Returns the people of one worker, in the order in which they sign in."""
        return [person for person in self.people if person.slot == slot]

    def probes_of_slot(self, slot: int) -> list[tuple[Person, Person]]:
        """Returns the probe pairs of one worker."""
        return [pair for pair in self.probes if pair[0].slot == slot]


def populate(people: int, probe_pairs: int, mix: Mix, book: PersonaBook, slots: int, seed: int) -> Population:
    """Returns the same population for the same arguments, in every process.

    Personas are dealt by quota, not drawn: a mix's shares are met to within one person on every worker.
    """
    rng = random.Random(f"population {seed}")
    tag = hashlib.sha256(str(seed).encode()).hexdigest()[:4]
    total = (-(-people // slots) + SPARE_PER_WORKER) * slots
    order = _deal(shares(mix), -(-total // slots))
    names = [f"{_FIRST_NAMES[index % len(_FIRST_NAMES)]}-{index:05d}-{tag}" for index in range(total)]
    made = tuple(
        _person(index, name, order[index // slots], book, seed, index % slots) for index, name in enumerate(names)
    )
    following = _follow_graph(total, rng)
    followers: list[list[int]] = [[] for _ in range(total)]
    for follower, followed in enumerate(following):
        for one in followed:
            followers[one].append(follower)
    calm = _calmest(mix, book)
    probes = tuple(
        (
            _person(total + 2 * pair, f"probe-{pair:03d}a-{tag}", calm, book, seed, pair % slots),
            _person(total + 2 * pair + 1, f"probe-{pair:03d}b-{tag}", calm, book, seed, pair % slots),
        )
        for pair in range(probe_pairs * slots)
    )
    return Population(made, tuple(following), tuple(tuple(one) for one in followers), probes)


def accounts(population: Population) -> dict[str, list[object]]:
    """Returns the body of ``POST /admin/seed``: every account, and every pair of who follows whom."""
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
    return {"users": users, "follows": follows}


def _person(index: int, name: str, persona_id: str, book: PersonaBook, seed: int, slot: int) -> Person:
    password = hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()[:16]
    display_name = name.split("-", maxsplit=1)[0].title() + f" {index}"
    return Person(index, name, display_name, password, persona_id, book.personas[persona_id], slot)


def _deal(weights: dict[str, float], count: int) -> list[str]:
    """Returns ``count`` persona ids whose every prefix keeps the shares as well as whole numbers can."""
    dealt = dict.fromkeys(weights, 0)
    order = []
    for turn in range(1, count + 1):
        behind = max(weights, key=lambda persona_id: weights[persona_id] * turn - dealt[persona_id])
        dealt[behind] += 1
        order.append(behind)
    return order


def _follow_graph(total: int, rng: random.Random) -> list[tuple[int, ...]]:
    """Returns whom each person follows: friends, who follow back, and a few of the popular, who do not."""
    following: list[set[int]] = [set() for _ in range(total)]
    for person in range(total):
        wanted = min(max(FRIENDS_LEAST, round(rng.lognormvariate(0, FRIENDS_SIGMA) * FRIENDS_MEDIAN)), total - 1)
        while len(following[person]) < wanted:
            friend = rng.randrange(total)
            if friend != person:
                following[person].add(friend)
                following[friend].add(person)
    by_popularity = list(range(total))
    rng.shuffle(by_popularity)
    ladder = list(itertools.accumulate(1 / (rank + 1) ** IDOL_EXPONENT for rank in range(total)))
    for person in range(total):
        for _ in range(round(rng.expovariate(1 / IDOLS_MEAN))):
            idol = by_popularity[min(bisect.bisect(ladder, rng.random() * ladder[-1]), total - 1)]
            if idol != person:
                following[person].add(idol)
    return [tuple(sorted(ones)) for ones in following]


def _calmest(mix: Mix, book: PersonaBook) -> str:
    """Returns the persona of the probes: no access link where the mix has one, so that they judge the load alone."""
    without = [persona_id for persona_id in mix.weights if not book.personas[persona_id].network]
    return sorted(without or mix.weights)[0]

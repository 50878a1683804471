"""Makes the graph of who follows whom: friends, who follow back, and a few popular people, who do not.

The number of friends is log-normal, popularity follows Zipf's law. So follower counts have the heavy tail of real
networks: most people have a dozen followers, the most popular one has more than anybody.
"""

from __future__ import annotations

import bisect
import itertools
import random
from dataclasses import dataclass

FRIENDS_MEDIAN = 12
FRIENDS_SIGMA = 0.5
FRIENDS_LEAST = 6
IDOLS_MEAN = 8.0
"""Popular people whom one follows without being followed back, on average."""
IDOL_EXPONENT = 1.0
"""Popularity of the k-th most popular person goes as 1/k: Zipf's law, the tail of follower counts."""


@dataclass(frozen=True, slots=True)
class FollowGraph:
    """Who follows whom, by index."""

    following: tuple[tuple[int, ...], ...]
    by_popularity: tuple[int, ...]
    """The most followed first, as the graph was made."""


def follow_graph(total: int, rng: random.Random) -> FollowGraph:
    """Returns whom each of ``total`` people follows."""
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
    return FollowGraph(tuple(tuple(sorted(ones)) for ones in following), tuple(by_popularity))

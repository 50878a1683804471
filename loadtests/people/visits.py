"""People open their app and look: threads, a thread, missed calls. At sign-in, and now and then afterwards.

A creator with a thousand missed calls and somebody with ten thousand threads cost a service nothing for as long as
nobody reads them. A list is asked for page by page, as somebody scrolls: most people have one page, and see its end.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from calls.bridge.messages import ListOpened
from calls.targets.lists import ListKind
from loadtests.people.population import AccountHistory, Population

SCROLLS_ON = 0.5
"""Chance that somebody who sees the end of a page wants the next one."""
MOST_PAGES = 20
OPENS_THREAD, OPENS_CALLS = 0.7, 0.4
"""Chances that a visit looks into a thread, and at the calls. At sign-in, everybody does both."""
HEAVY_THREADS, HEAVY_CALLS = 1000, 100
"""A past with so many of either is heavy, and timed apart: among all others it would hide in the mean."""


class OpenPage(Protocol):
    """Opens one page of a person's list. Returns None when the visit is over: it did not come, or the run ends."""

    def __call__(
        self, look_at: ListKind, *, person: str = "", before: int | None = None, intended_at_s: float | None = None
    ) -> ListOpened | None: ...


@dataclass(frozen=True, slots=True)
class Visit:
    """One person opens the app."""

    open_page: OpenPage
    rng: random.Random
    at_sign_in: bool = False

    def run(self, intended_at_s: float) -> None:
        """Looks at this and that; the first page is timed from ``intended_at_s``, in Unix seconds."""
        threads = self._scroll(ListKind.THREADS, intended_at_s)
        if threads is None:
            return
        opens_thread = bool(threads.people) and (self.at_sign_in or self.rng.random() < OPENS_THREAD)
        if opens_thread and self.open_page(ListKind.THREAD, person=self.rng.choice(threads.people)) is None:
            return
        if self.at_sign_in or self.rng.random() < OPENS_CALLS:
            self._scroll(ListKind.CALLS)

    def _scroll(self, look_at: ListKind, intended_at_s: float | None = None) -> ListOpened | None:
        """Returns the last page that was looked at, None when the visit is over."""
        page = self.open_page(look_at, intended_at_s=intended_at_s)
        for _ in range(MOST_PAGES - 1):
            if page is None or page.older is None or self.rng.random() >= SCROLLS_ON:
                break
            page = self.open_page(look_at, before=page.older)
        return page


class Visits:
    """Who of one worker's people is looking at their app."""

    def __init__(self, population: Population, spawn: Callable[..., object]) -> None:
        """``spawn`` runs a function aside."""
        self._spawn = spawn
        self._heavy = frozenset(past.index for past in population.histories if is_heavy(past))
        self._looking: set[int] = set()

    def has_heavy_history(self, index: int) -> bool:
        """Whether this person finds more than others do."""
        return index in self._heavy

    def begin(self, index: int, visit: Visit, intended_at_s: float) -> None:
        """Starts a visit, unless that person is still waiting for the last one's lists: nobody opens the app twice."""
        if index in self._looking:
            return
        self._looking.add(index)

        def run() -> None:
            try:
                visit.run(intended_at_s)
            finally:
                self._looking.discard(index)

        self._spawn(run)


def is_heavy(past: AccountHistory) -> bool:
    """Whether a past is one of those that a service is tested with on purpose."""
    return past.threads >= HEAVY_THREADS or past.missed_calls >= HEAVY_CALLS

"""What people look at who open their app."""

from __future__ import annotations

import random
from collections.abc import Callable

from calls.bridge.messages import ListOpened
from calls.targets.lists import ListKind
from loadtests.people.population import AccountHistory, Population
from loadtests.people.visits import MOST_PAGES, Visit, Visits, is_heavy


class App:
    """A service whose lists have so many pages; it remembers what it was asked."""

    def __init__(
        self, pages: int = 1, fails_at: ListKind | None = None, people: tuple[str, ...] = ("ann", "bob")
    ) -> None:
        self.asked: list[tuple[ListKind, str, int | None, float | None]] = []
        self._pages, self._fails_at, self._people = pages, fails_at, people

    def open_page(
        self, look_at: ListKind, *, person: str = "", before: int | None = None, intended_at_s: float | None = None
    ) -> ListOpened | None:
        self.asked.append((look_at, person, before, intended_at_s))
        if look_at is self._fails_at:
            return None
        page = before if before is not None else 0
        return ListOpened(took_ms=1.0, people=self._people, older=page + 1 if page + 1 < self._pages else None)

    def opened(self) -> list[str]:
        return [look_at.value for look_at, *_ in self.asked]


def visit(app: App, *, at_sign_in: bool = False, seed: int = 1) -> list[str]:
    Visit(app.open_page, random.Random(seed), at_sign_in).run(7.0)
    return app.opened()


def test_at_sign_in_everybody_looks_at_everything() -> None:
    app = App()
    assert visit(app, at_sign_in=True) == ["threads", "thread", "calls"]
    assert app.asked[0] == (ListKind.THREADS, "", None, 7.0)
    assert app.asked[1][1] in ("ann", "bob")
    assert visit(App(people=()), at_sign_in=True) == ["threads", "calls"], "no thread to open"


def test_later_people_look_at_what_they_like() -> None:
    looks = [tuple(visit(App(), seed=seed)) for seed in range(300)]
    assert {look[0] for look in looks} == {"threads"}
    assert set(looks) == {
        ("threads",), ("threads", "thread"), ("threads", "calls"), ("threads", "thread", "calls"),
    }  # fmt: skip


def test_long_lists_are_scrolled_and_short_ones_end() -> None:
    depths = [visit(App(pages=1000), seed=seed).count("threads") for seed in range(2000)]
    assert 1.8 < sum(depths) / len(depths) < 2.2  # geometric with 1/2: mean 2, standard error 0.03
    assert max(depths) <= MOST_PAGES
    assert {visit(App(pages=1), seed=seed).count("threads") for seed in range(50)} == {1}
    scrolled = App(pages=1000)
    visit(scrolled, seed=depths.index(3))
    assert [before for look_at, _, before, _ in scrolled.asked if look_at is ListKind.THREADS] == [None, 1, 2]


def test_what_does_not_come_ends_the_visit() -> None:
    assert visit(App(fails_at=ListKind.THREADS), at_sign_in=True) == ["threads"]
    assert visit(App(fails_at=ListKind.THREAD), at_sign_in=True) == ["threads", "thread"]


def test_nobody_opens_the_app_twice_at_once() -> None:
    aside: list[Callable[[], None]] = []
    visits = Visits(Population((), (), (), (), (AccountHistory(4, 5, 10_000), AccountHistory(5, 20, 30))), aside.append)
    assert [visits.has_heavy_history(index) for index in (3, 4, 5)] == [False, True, False]
    assert is_heavy(AccountHistory(1, 100, 0))
    app = App()
    for _ in range(2):
        visits.begin(4, Visit(app.open_page, random.Random(1)), 7.0)
    visits.begin(5, Visit(app.open_page, random.Random(1)), 7.0)
    assert len(aside) == 2
    aside[0]()
    visits.begin(4, Visit(app.open_page, random.Random(1)), 9.0)
    assert len(aside) == 3

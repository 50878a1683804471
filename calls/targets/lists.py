"""The lists of a person's app, as one asks for them and as they come: words that the swarm and every target share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LookAt(StrEnum):
    """A list that a person opens in their app."""

    THREADS = "threads"
    THREAD = "thread"
    """The messages and calls of one thread."""
    CALLS = "calls"
    """Who called, missed calls among them."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page to fetch."""

    at: LookAt
    person: str = ""
    """``THREAD``: with whom."""
    before: int | None = None
    """``Page.older`` of the page before; None for the newest."""


@dataclass(frozen=True, slots=True)
class Page:
    """What came."""

    people: tuple[str, ...]
    """Whom each item is about, in the order of the service."""
    older: int | None
    """Where the next page begins, as the service counts; None when there is none."""
    size_bytes: int

"""Defines the lists of a person's app, as the swarm and every target use them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ListKind(StrEnum):
    """A list that a person opens in their app."""

    THREADS = "threads"
    THREAD = "thread"
    """The messages and calls of one thread."""
    CALLS = "calls"
    """The call history, with missed calls."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page to fetch."""

    at: ListKind
    person: str = ""
    """``THREAD``: the other person."""
    before: int | None = None
    """``Page.older`` of the page before; None for the newest."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list."""

    people: tuple[str, ...]
    """The person of each item, in the service's order."""
    older: int | None
    """Start of the next page, as the service counts; None without one."""
    size_bytes: int

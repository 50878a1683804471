"""Writes the history of sought-after people in bulk: threads they never opened, calls they missed.

The senders and callers are accounts that nobody can sign in to (no password fits), so ten thousand threads need no ten
thousand password hashes. Everything is derived from the user's name: seeding twice changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Annotated

import msgspec

from reference_service.calls.call_log import CallLog, pair_of
from reference_service.messages.messaging import Messaging
from reference_service.people.accounts import NOBODYS_PASSWORD
from reference_service.people.directory import Directory, User
from reference_service.storage.store import Store

SPREAD_MS = 30 * 86_400_000
"""Messages and calls are spread evenly over the last 30 days."""
RANG_MS = 30_000
TEXTS = (
    "hi! call me?",
    "loved your last picture",
    "are you there",
    "one question",
    "please call back",
    "hello from far",
)


class SeededHistory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The history that one user finds after the first sign-in."""

    name: str
    missed_calls: Annotated[int, msgspec.Meta(ge=0, le=20_000)] = 0
    threads: Annotated[int, msgspec.Meta(ge=0, le=50_000)] = 0


def stranger(number: int) -> str:
    """Returns the name of one of the crowd."""
    return f"crowd-{number:05d}"


class HistorySeeder:
    """Writes histories."""

    def __init__(self, store: Store, directory: Directory, messaging: Messaging, log: CallLog) -> None:
        self._store = store
        self._directory = directory
        self._messaging = messaging
        self._log = log

    async def seed(self, histories: Sequence[SeededHistory], now_ms: int) -> None:
        """Gives each person of ``histories`` theirs, once. Everybody named must have an account."""
        if not histories:
            return
        largest = max(max(history.threads, history.missed_calls) for history in histories)
        await self._directory.add(
            [
                User(stranger(number), f"Stranger {number}", NOBODYS_PASSWORD, "nobody")
                for number in range(largest)
                if stranger(number) not in self._directory.users
            ]
        )
        done = await self._store.read(
            lambda db: {row[0] for row in db.execute("SELECT key FROM meta WHERE key LIKE 'past:%'")}
        )
        for history in histories:
            if f"past:{history.name}" not in done:
                await self._write(history, now_ms)

    async def _write(self, history: SeededHistory, now_ms: int) -> None:
        name, start_ms = history.name, now_ms - SPREAD_MS
        first_seq = self._messaging.reserve(history.threads)
        first_row = self._log.reserve(history.missed_calls)

        def job(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO meta VALUES (?, '')", (f"past:{name}",))
            db.executemany(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?)",
                (
                    (
                        first_seq + number, pair_of(name, stranger(number)), stranger(number),
                        TEXTS[number % len(TEXTS)], start_ms + SPREAD_MS * number // history.threads,
                    )
                    for number in range(history.threads)
                ),
            )  # fmt: skip
            db.executemany(
                "INSERT INTO threads VALUES (?, ?, ?, ?)",
                (
                    row
                    for number in range(history.threads)
                    for row in (
                        (name, stranger(number), first_seq + number, 1),
                        (stranger(number), name, first_seq + number, 0),
                    )
                ),
            )
            db.executemany(
                "INSERT INTO calls (row, call_id, pair, caller, callee, media, invited_at_ms, ringing_at_ms,"
                " ended_at_ms, outcome) VALUES (?, ?, ?, ?, ?, 'audio', ?, ?, ?, 'no_answer')",
                (
                    (
                        first_row + number, f"past-{name}-{number}", pair_of(name, stranger(number)), stranger(number),
                        name, at_ms, at_ms, at_ms + RANG_MS,
                    )
                    for number in range(history.missed_calls)
                    for at_ms in (start_ms + SPREAD_MS * number // history.missed_calls,)
                ),
            )  # fmt: skip

        await self._store.write(job)

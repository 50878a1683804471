"""Holds the accounts: who follows whom, and who may call whom. In memory, with every change also on disk."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from reference_service.people.accounts import check_password, hash_password
from reference_service.protocol import Who
from reference_service.storage.store import Store

FOLLOWS = "follows"
CLOSE_FRIENDS = "close_friends"
BLOCKS = "blocks"


@dataclass(slots=True)
class User:
    """One account. ``who`` may call it."""

    name: str
    display_name: str
    password: str
    who: Who


class NewAccount(msgspec.Struct, frozen=True):
    """An account to seed."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[\w.@+-]{1,64}\Z")]
    display_name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    controls: Who = "following"


class UnknownPerson(Exception):
    """A tie names somebody who has no account."""


class Directory:
    """All accounts and the ties between them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.users: dict[str, User] = {}
        self.token_key = b""
        self._out: dict[str, defaultdict[str, set[str]]] = {
            kind: defaultdict(set) for kind in (FOLLOWS, CLOSE_FRIENDS, BLOCKS)
        }
        self._followers: defaultdict[str, set[str]] = defaultdict(set)

    async def load(self) -> None:
        """Reads everything from disk, and makes the key that signs tokens when there is none yet."""
        fresh_key = secrets.token_hex(32)

        def keep_key(db: sqlite3.Connection) -> str:
            db.execute("INSERT OR IGNORE INTO meta VALUES ('token_key', ?)", (fresh_key,))
            return str(db.execute("SELECT value FROM meta WHERE key = 'token_key'").fetchone()[0])

        self.token_key = bytes.fromhex(await self._store.write(keep_key))
        people = await self._store.read(
            lambda db: db.execute("SELECT name, display_name, password, controls FROM users").fetchall()
        )
        self.users = {row[0]: User(*row) for row in people}
        for tie in await self._store.read(lambda db: db.execute("SELECT kind, who, whom FROM ties").fetchall()):
            self._tie(*tie)

    async def seed(
        self, people: Sequence[NewAccount], follows: Sequence[tuple[str, str]], close_friends: Sequence[tuple[str, str]]
    ) -> list[str]:
        """Adds or overwrites accounts and adds ties; safe to repeat. Raises UnknownPerson and then changes nothing.

        Returns whose password changed: their tokens have ended, which those of unchanged passwords have not.
        """
        ties = [(FOLLOWS, *pair) for pair in follows] + [(CLOSE_FRIENDS, *pair) for pair in close_friends]
        known = self.users.keys() | {person.name for person in people}
        if strangers := sorted({name for _, *pair in ties for name in pair} - known):
            raise UnknownPerson(f"a tie names {strangers[0]!r}, who has no account")
        before = {person.name: self.password_hash(person.name) for person in people}
        hashes = await asyncio.to_thread(lambda: [_hash_of(person, before[person.name]) for person in people])
        users = [User(p.name, p.display_name, hashed, p.controls) for p, hashed in zip(people, hashes, strict=True)]

        def job(db: sqlite3.Connection) -> None:
            rows = [(user.name, user.display_name, user.password, user.who) for user in users]
            db.executemany("INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?)", rows)
            db.executemany("INSERT OR IGNORE INTO ties VALUES (?, ?, ?)", ties)

        await self._store.write(job)
        self.users.update((user.name, user) for user in users)
        for tie in ties:
            self._tie(*tie)
        return [user.name for user in users if before[user.name] not in (None, user.password)]

    def password_hash(self, name: str) -> str | None:
        """The hash of the password of ``name``, None for nobody."""
        user = self.users.get(name)
        return user.password if user is not None else None

    async def add(self, users: Sequence[User]) -> None:
        """Adds accounts whose passwords are hashed already."""
        rows = [(user.name, user.display_name, user.password, user.who) for user in users]

        def job(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR IGNORE INTO users VALUES (?, ?, ?, ?)", rows)

        await self._store.write(job)
        for user in users:
            self.users.setdefault(user.name, user)

    async def set_who(self, name: str, who: Who) -> None:
        """From now on ``who`` may call ``name``."""
        await self._store.write(lambda db: _run(db, "UPDATE users SET controls = ? WHERE name = ?", who, name))
        self.users[name].who = who

    async def block(self, name: str, whom: str) -> None:
        """From now on ``whom`` can neither call nor write to ``name``."""
        await self._store.write(lambda db: _run(db, "INSERT OR IGNORE INTO ties VALUES (?, ?, ?)", BLOCKS, name, whom))
        self._tie(BLOCKS, name, whom)

    async def unblock(self, name: str, whom: str) -> None:
        """Takes a block back; nothing happens when there is none."""
        statement = "DELETE FROM ties WHERE kind = ? AND who = ? AND whom = ?"
        await self._store.write(lambda db: _run(db, statement, BLOCKS, name, whom))
        self._out[BLOCKS][name].discard(whom)

    def blocked_by(self, name: str) -> set[str]:
        """Whom ``name`` has blocked."""
        return self._out[BLOCKS].get(name, set())

    def may_write(self, sender: str, to: str) -> bool:
        """Anybody may write to anybody who has not blocked them."""
        return sender not in self.blocked_by(to)

    def may_call(self, caller: str, callee: str) -> bool:
        """The callee's controls decide: by default, only people whom the callee follows."""
        if caller == callee or caller in self.blocked_by(callee):
            return False
        match self.users[callee].who:
            case "everyone":
                return True
            case "following":
                return caller in self._out[FOLLOWS].get(callee, ())
            case "close_friends":
                return caller in self._out[CLOSE_FRIENDS].get(callee, ())
            case "nobody":
                return False

    def contacts(self, name: str) -> set[str]:
        """Everybody whom ``name`` follows, has as a close friend, or is followed by."""
        found = self._out[FOLLOWS].get(name, set()) | self._out[CLOSE_FRIENDS].get(name, set())
        return (found | self._followers.get(name, set())) - {name}

    def _tie(self, kind: str, who: str, whom: str) -> None:
        self._out[kind][who].add(whom)
        if kind == FOLLOWS:
            self._followers[whom].add(who)


def _hash_of(person: NewAccount, before: str | None) -> str:
    """The hash that stands already, when it is of the same password."""
    if before is not None and check_password(person.password, before):
        return before
    return hash_password(person.password)


def _run(db: sqlite3.Connection, statement: str, *values: object) -> None:
    db.execute(statement, values)

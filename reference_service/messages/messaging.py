"""Handles text messages: acknowledged and delivered once on disk, counted as unread until the thread is read."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Callable
from typing import Any

from reference_service.calls.call_log import CallLog, pair_of
from reference_service.connection import Connection
from reference_service.people.directory import Directory
from reference_service.people.presence import OnlineUsers
from reference_service.protocol import MessageSend, Rejected, ThreadList, ThreadRead, encode
from reference_service.storage.store import Store

FAR_FUTURE = 1 << 62


class Messaging:
    """Threads between two people. ``now_ms`` is Unix milliseconds."""

    def __init__(
        self, store: Store, directory: Directory, presence: OnlineUsers, log: CallLog, now_ms: Callable[[], int]
    ) -> None:
        self.sent = 0
        self._store = store
        self._directory = directory
        self._presence = presence
        self._log = log
        self._now_ms = now_ms
        self._next_seq = itertools.count(1)

    async def load(self) -> None:
        """Continues the numbering on disk."""
        last = await self._store.read(lambda db: db.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()[0])
        self._next_seq = itertools.count(last + 1)

    def reserve(self, count: int) -> int:
        """Takes ``count`` numbers for messages that are written in bulk. Returns the first of them."""
        first = next(self._next_seq)
        self._next_seq = itertools.count(first + max(1, count))
        return first

    async def send(self, sender: Connection, message: MessageSend) -> None:
        """Stores, then acknowledges to the sender and delivers to every device of the recipient."""
        author, to, text = sender.user, message.to, message.text
        if to not in self._directory.users or to == author:
            raise Rejected("unknown_user", f"there is nobody called {to!r} to write to", ref=message.ref)
        if not self._directory.may_write(author, to):
            raise Rejected("blocked", "this person does not take messages from you", ref=message.ref)
        seq, at_ms, pair = next(self._next_seq), self._now_ms(), pair_of(author, to)

        def job(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", (seq, pair, author, text, at_ms))
            db.executemany(
                "INSERT INTO threads VALUES (?, ?, ?, ?) ON CONFLICT (owner, other) DO UPDATE SET"
                " last_seq = excluded.last_seq, unread = unread + excluded.unread",
                [(author, to, seq, 0), (to, author, seq, 1)],
            )

        await self._store.write(job)
        self.sent += 1
        sender.send(encode("message.ack", ref=message.ref, seq=seq, at_ms=at_ms))
        delivered = encode("message.new", seq=seq, **{"from": author}, text=text, at_ms=at_ms)
        for device in self._presence.of(to):
            device.send(delivered)

    async def list_threads(self, device: Connection, request: ThreadList) -> None:
        """Answers with one page of the user's threads, latest first."""
        before = request.before if request.before is not None else FAR_FUTURE
        statement = (
            "SELECT t.other, t.unread, m.seq, m.sender, m.text, m.at_ms FROM threads t"
            " JOIN messages m ON m.seq = t.last_seq WHERE t.owner = ? AND t.last_seq < ?"
            " ORDER BY t.last_seq DESC LIMIT ?"
        )
        values = (device.user, before, request.limit)
        rows = await self._store.read(lambda db: db.execute(statement, values).fetchall())
        threads = [
            {
                "with": other,
                "display_name": self._directory.users[other].display_name,
                "online": self._presence.is_online(other),
                "last": {"seq": seq, "from": sender, "text": text, "at_ms": at_ms},
                "unread": unread,
            }
            for other, unread, seq, sender, text, at_ms in rows
        ]
        device.send(encode("thread.list", ref=request.ref, threads=threads))

    async def read_thread(self, device: Connection, request: ThreadRead) -> None:
        """Answers with one page of messages, oldest first, and the calls that fall between them."""
        user, other, limit = device.user, request.with_, request.limit
        if other not in self._directory.users:
            raise Rejected("unknown_user", f"there is nobody called {other!r}", ref=request.ref)
        before = request.before if request.before is not None else FAR_FUTURE

        def page(db: sqlite3.Connection) -> tuple[list[dict[str, Any]], int]:
            statement = (
                "SELECT seq, sender, text, at_ms FROM messages WHERE pair = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
            )
            rows = db.execute(statement, (pair_of(user, other), before, limit)).fetchall()
            edge = db.execute("SELECT at_ms FROM messages WHERE seq = ?", (before,)).fetchone()
            messages = [{"seq": seq, "from": sender, "text": text, "at_ms": at} for seq, sender, text, at in rows]
            return messages[::-1], edge[0] if edge else FAR_FUTURE

        messages, before_ms = await self._store.read(page)
        from_ms = messages[0]["at_ms"] if len(messages) == limit else 0
        calls = await self._log.between(user, other, from_ms=from_ms, before_ms=before_ms, limit=limit)
        if request.before is None:
            statement = "UPDATE threads SET unread = 0 WHERE owner = ? AND other = ? AND unread > 0"
            with contextlib.suppress(sqlite3.Error):  # the thread can be read on a full disk, and stays unread
                await self._store.write(lambda db: _mark(db, statement, user, other))
        fields = {"with": other, "messages": messages, "calls": calls}
        device.send(encode("thread.messages", ref=request.ref, **fields))


def _mark(db: sqlite3.Connection, statement: str, user: str, other: str) -> None:
    db.execute(statement, (user, other))

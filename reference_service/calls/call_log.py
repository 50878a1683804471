"""Logs every call: who, when, each transition, the outcome, the quality reports. Writes outside the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from reference_service.calls.call import Call
from reference_service.storage.store import Store

INTERRUPTED = "interrupted"
"""Outcome of a call that was open when the service died."""

_TIME_COLUMN = {
    "ringing": "ringing_at_ms",
    "answered": "answered_at_ms",
    "answer_relayed": "answer_relayed_at_ms",
}


class NotStored(sqlite3.Error):
    """An entry has nothing to belong to, because the disk refused what came before."""


def pair_of(one: str, other: str) -> str:
    """Returns the key that both directions of a thread share."""
    return f"{min(one, other)}\n{max(one, other)}"


class CallLog:
    """Appends to the log and reads it. ``now_ms`` is Unix milliseconds."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._last_row = 0

    async def load(self) -> int:
        """Continues the log on disk; closes what a crash left open. Returns how many calls that were."""
        at_ms = self._now_ms()

        def job(db: sqlite3.Connection) -> tuple[int, int]:
            db.execute(
                "INSERT INTO call_events SELECT row, ?, 'ended', NULL, ? FROM calls WHERE ended_at_ms IS NULL",
                (at_ms, _json({"reason": INTERRUPTED})),
            )
            closed = db.execute(
                "UPDATE calls SET ended_at_ms = ?, outcome = ? WHERE ended_at_ms IS NULL", (at_ms, INTERRUPTED)
            ).rowcount
            return closed, db.execute("SELECT coalesce(max(row), 0) FROM calls").fetchone()[0]

        closed, self._last_row = await self._store.write(job)
        return closed

    def reserve(self, count: int) -> int:
        """Takes ``count`` rows for calls that are written in bulk. Returns the first of them."""
        first = self._last_row + 1
        self._last_row += count
        return first

    def open(self, call_id: str, caller: str, callee: str, media: str) -> tuple[int, asyncio.Future[None]]:
        """Enters a new call; returns its row, and a future that resolves once it is on disk."""
        self._last_row += 1
        row, at_ms, pair = self._last_row, self._now_ms(), pair_of(caller, callee)

        def job(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO calls (row, call_id, pair, caller, callee, media, invited_at_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (row, call_id, pair, caller, callee, media, at_ms),
            )
            _add_event(db, row, at_ms, "invited", caller, {"media": media})

        return row, self._store.log(job)

    def refused(self, row: int, code: str) -> asyncio.Future[None]:
        """Closes a call that never rang: refused for ``code``, or a shadow call."""
        return self._store.log(self._ending(row, code, None))

    def event(self, call: Call, event: str, by: str | None, **detail: object) -> None:
        """Notes a transition, a report or a change in the call."""
        at_ms, column = self._now_ms(), _TIME_COLUMN.get(event)

        def job(db: sqlite3.Connection) -> None:
            if column is not None:
                db.execute(f"UPDATE calls SET {column} = ? WHERE row = ?", (at_ms, call.row))
            _add_event(db, call.row, at_ms, event, by, detail)

        self._store.log(job)

    def ended(self, call: Call) -> asyncio.Future[None]:
        """Closes a call; the future resolves once its whole log is on disk."""
        return self._store.log(self._ending(call.row, call.end_reason or "hangup", call.ended_by))

    async def page(self, *, limit: int, after: int, call_id: str | None) -> list[dict[str, Any]]:
        """Returns calls in the order they began, after row ``after``, each with all that was noted until now."""
        where, value = ("row > ?", after) if call_id is None else ("call_id = ?", call_id)

        def job(db: sqlite3.Connection) -> list[dict[str, Any]]:
            cursor = db.execute(f"SELECT * FROM calls WHERE {where} ORDER BY row LIMIT ?", (value, limit))
            columns = [column[0] for column in cursor.description]
            calls = [dict(zip(columns, found, strict=True)) for found in cursor.fetchall()]
            return [_with_events(db, found) for found in calls]

        await self._store.write(lambda _: None)
        return await self._store.read(job)

    async def history(self, user: str, *, before_ms: int | None, limit: int) -> list[dict[str, Any]]:
        """Returns the calls of ``user``, latest first; an attempt that their controls stopped is not shown to them."""
        before = before_ms if before_ms is not None else 1 << 62
        statement = (
            f"SELECT {_SEEN} FROM calls WHERE caller = ?1 AND invited_at_ms < ?2 AND {_RANG}"
            f" UNION ALL SELECT {_SEEN} FROM calls WHERE callee = ?1 AND invited_at_ms < ?2"
            f" AND {_RANG} AND outcome IS NOT 'blocked' ORDER BY invited_at_ms DESC LIMIT ?3"
        )
        return await self._store.read(
            lambda db: [_as_seen(found) for found in db.execute(statement, (user, before, limit))]
        )

    async def between(self, user: str, other: str, *, from_ms: int, before_ms: int, limit: int) -> list[dict[str, Any]]:
        """Returns the calls of a thread in [from_ms, before_ms), oldest first, the latest ``limit`` of them."""
        statement = (
            f"SELECT {_SEEN} FROM calls WHERE pair = ? AND invited_at_ms >= ? AND invited_at_ms < ?"
            f" AND {_RANG} AND (caller = ? OR outcome IS NOT 'blocked') ORDER BY invited_at_ms DESC LIMIT ?"
        )
        values = (pair_of(user, other), from_ms, before_ms, user, limit)
        return await self._store.read(
            lambda db: [_as_seen(found) for found in reversed(db.execute(statement, values).fetchall())]
        )

    def _ending(self, row: int, outcome: str, by: str | None) -> Callable[[sqlite3.Connection], None]:
        at_ms = self._now_ms()

        def job(db: sqlite3.Connection) -> None:
            closed = db.execute(
                "UPDATE calls SET ended_at_ms = ?, outcome = ?, ended_by = ? WHERE row = ?", (at_ms, outcome, by, row)
            ).rowcount
            if not closed:
                raise NotStored("the beginning of this call was not stored")
            _add_event(db, row, at_ms, "ended", by, {"reason": outcome})

        return job


_RANG = "coalesce(outcome, '') NOT LIKE 'shadow%'"
"""Not a shadow call, of which nobody hears."""
_SEEN = "call_id, caller, callee, media, invited_at_ms, answered_at_ms, ended_at_ms, outcome"


def _as_seen(found: tuple[Any, ...]) -> dict[str, Any]:
    """A call as the two people see it in their thread."""
    call_id, caller, callee, media, invited_at_ms, answered_at_ms, ended_at_ms, outcome = found
    talked = answered_at_ms is not None and ended_at_ms is not None
    return {
        "call_id": call_id,
        "from": caller,
        "to": callee,
        "media": media,
        "at_ms": invited_at_ms,
        "answered": answered_at_ms is not None,
        "duration_ms": ended_at_ms - answered_at_ms if talked else None,
        "outcome": outcome,
    }


def _with_events(db: sqlite3.Connection, call: dict[str, Any]) -> dict[str, Any]:
    row = call["row"]
    del call["pair"]
    events = db.execute("SELECT at_ms, event, by, detail FROM call_events WHERE call_row = ? ORDER BY rowid", (row,))
    call["events"], call["quality"] = [], []
    for at_ms, event, by, detail in events:
        entry = {"at_ms": at_ms, "event": event, "by": by, **msgspec.json.decode(detail or "{}")}
        call["quality" if event == "quality" else "events"].append(entry)
    return call


def _add_event(
    db: sqlite3.Connection, row: int, at_ms: int, event: str, by: str | None, detail: dict[str, object]
) -> None:
    # Never of a call that was not stored: its row would be another call's after a restart.
    db.execute(
        "INSERT INTO call_events SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM calls WHERE row = ?1)",
        (row, at_ms, event, by, _json(detail)),
    )


def _json(detail: dict[str, object]) -> str | None:
    return msgspec.json.encode(detail).decode() if detail else None

"""Handles a user's controls: who may call, whom to block, whom to report."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from reference_service.calls.in_call import InCallMessages
from reference_service.calls.switchboard import Switchboard
from reference_service.connection import Connection
from reference_service.people.directory import Directory
from reference_service.protocol import (
    ControlBlock,
    ControlGet,
    ControlReport,
    ControlSet,
    ControlUnblock,
    Ref,
    Rejected,
    encode,
)
from reference_service.storage.store import Store


class Controls:
    """Every change is on disk before it is confirmed with ``control.state``."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        switchboard: Switchboard,
        in_call: InCallMessages,
        now_ms: Callable[[], int],
    ) -> None:
        self.reports = 0
        self._store = store
        self._directory = directory
        self._switchboard = switchboard
        self._in_call = in_call
        self._now_ms = now_ms

    async def get(self, device: Connection, request: ControlGet) -> None:
        """Answers with the controls in force."""
        self._confirm(device, request.ref)

    async def set(self, device: Connection, request: ControlSet) -> None:
        """Says who may call from now on."""
        await self._directory.set_who(device.user, request.who)
        self._confirm(device, request.ref)

    async def block(self, device: Connection, request: ControlBlock) -> None:
        """Bars a person; a call that is on with that person ends."""
        self._known(device, request.name, request.ref)
        call = self._switchboard.call_of(device.user)
        side = call.side_of(device.user) if call is not None else None
        if call is not None and side is not None and call.other(side).user == request.name:
            self._in_call.leave(call, side)
        await self._directory.block(device.user, request.name)
        self._confirm(device, request.ref)

    async def unblock(self, device: Connection, request: ControlUnblock) -> None:
        """Takes a block back."""
        self._known(device, request.name, request.ref)
        await self._directory.unblock(device.user, request.name)
        self._confirm(device, request.ref)

    async def report(self, device: Connection, request: ControlReport) -> None:
        """Keeps a report for the operator."""
        self._known(device, request.name, request.ref)
        values = (self._now_ms(), device.user, request.name, request.call_id, request.reason)

        def job(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO reports VALUES (?, ?, ?, ?, ?)", values)

        await self._store.write(job)
        self.reports += 1
        device.send(encode("control.reported", ref=request.ref, name=request.name))

    async def all_reports(self) -> list[dict[str, object]]:
        """Every report, oldest first."""
        columns = ("at_ms", "reporter", "name", "call_id", "reason")
        statement = f"SELECT {', '.join(columns)} FROM reports ORDER BY rowid LIMIT 10000"
        rows = await self._store.read(lambda db: db.execute(statement).fetchall())
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def _known(self, device: Connection, name: str, ref: Ref) -> None:
        if name not in self._directory.users or name == device.user:
            raise Rejected("unknown_user", f"there is nobody called {name!r}", ref=ref)

    def _confirm(self, device: Connection, ref: Ref) -> None:
        who = self._directory.users[device.user].who
        device.send(encode("control.state", ref=ref, who=who, blocked=sorted(self._directory.blocked_by(device.user))))

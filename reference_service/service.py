"""Builds the service from its parts, and starts and stops them in order."""

from __future__ import annotations

import asyncio
import time

from aiohttp import WSCloseCode

from reference_service.calls.call_log import CallLog
from reference_service.calls.in_call import InCallMessages
from reference_service.calls.switchboard import Switchboard
from reference_service.controls import Controls
from reference_service.faults import Faults
from reference_service.messages.history_seeder import HistorySeeder
from reference_service.messages.messaging import Messaging
from reference_service.people.directory import Directory
from reference_service.people.presence import OnlineUsers
from reference_service.settings import Settings
from reference_service.storage.store import Store

CLOSE_CONNECTIONS_S = 1.0
"""How long the service waits, when it stops, for clients to take their last messages."""


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Service:
    """Everything but the sockets."""

    def __init__(self, settings: Settings) -> None:
        """Opens the database. Raises StoreUnusable."""
        self.settings = settings
        self.started_at_ms = now_ms()
        self.store = Store(settings.database)
        self.faults = Faults(settings.degradation, settings.answer_delay_ms, settings.lose_every_nth_answer)
        self.presence = OnlineUsers()
        self.directory = Directory(self.store)
        self.log = CallLog(self.store, now_ms)
        self.switchboard = Switchboard(
            self.directory, self.presence, self.log, self.faults, no_answer_s=settings.no_answer_s
        )
        self.in_call = InCallMessages(self.switchboard)
        self.messaging = Messaging(self.store, self.directory, self.presence, self.log, now_ms)
        self.history_seeder = HistorySeeder(self.store, self.directory, self.messaging, self.log)
        self.controls = Controls(self.store, self.directory, self.switchboard, self.in_call, now_ms)

    async def load(self) -> None:
        """Loads the state on disk."""
        await self.directory.load()
        await self.messaging.load()
        await self.log.load()

    async def close_connections(self) -> None:
        """Ends the open calls and closes every socket with code 1001 (going away)."""
        await self.switchboard.end_all()
        connections = self.presence.everyone()
        for connection in connections:
            connection.close(WSCloseCode.GOING_AWAY, "the service is stopping")
        await asyncio.gather(*(connection.wait_closed(CLOSE_CONNECTIONS_S) for connection in connections))
        for connection in connections:
            connection.drop()  # a client that has not read its last messages would delay the end

    async def close(self) -> None:
        """Commits queued changes and closes the database."""
        await self.store.close()

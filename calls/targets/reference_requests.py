"""Matches requests of one person with their replies by ``ref``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator

from calls.errors import NotDelivered
from calls.targets.reference_messages import Message


class Requests:
    """The open requests of one session."""

    def __init__(self) -> None:
        self._last_ref = 0
        self._waiting: dict[int, asyncio.Future[str | bytes]] = {}
        self._tied: set[int] = set()
        """Requests that are not repeated on the next socket."""

    def new_ref(self) -> int:
        """Returns a number that no other message of this session uses."""
        self._last_ref += 1
        return self._last_ref

    @contextlib.contextmanager
    def open(self, *, tied: bool = False) -> Iterator[tuple[int, asyncio.Future[str | bytes]]]:
        """Yields a request's ref and the future of its reply; removes both afterwards.

        The future raises NotDelivered when the service refuses or the connection is lost for good. A ``tied`` request
        fails as soon as its socket breaks.
        """
        ref = self.new_ref()
        reply = self._waiting[ref] = asyncio.get_running_loop().create_future()
        if tied:
            self._tied.add(ref)
        try:
            yield ref, reply
        finally:
            self._waiting.pop(ref, None)
            self._tied.discard(ref)

    def settle(self, message: Message, data: str | bytes) -> None:
        """Hands the raw reply to its waiter."""
        reply = self._waiting.get(message.ref) if isinstance(message.ref, int) else None
        if reply is None or reply.done():
            return
        if message.type == "error":
            reply.set_exception(NotDelivered(message.message or "refused", code=f"error_{message.code}"))
        else:
            reply.set_result(data)

    def fail(self, code: str = "signaling_lost") -> None:
        """Fails all requests, because the connection is gone."""
        self._fail(self._waiting, code)

    def fail_tied(self, code: str = "signaling_lost") -> None:
        """Fails the tied requests, because the socket is gone."""
        self._fail(self._tied, code)

    def _fail(self, refs: Iterable[int], code: str) -> None:
        for ref in refs:
            if not self._waiting[ref].done():
                self._waiting[ref].set_exception(NotDelivered("the connection was lost", code=code))

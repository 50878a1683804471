"""Adapts the reference calling service: HTTP sign-in, then one WebSocket per person with JSON messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from bedrock.clock import Clock
from bedrock.errors import TargetUnreachable
from calls.targets.protocol import Listener
from calls.targets.reference_http import ReferenceEndpoint
from calls.targets.reference_session import ReferenceSession
from calls.targets.trust import client_context

if TYPE_CHECKING:
    from calls.media.access_link import AccessLink


class ReferenceTarget:
    """One per engine. People share its HTTP connections; each has a WebSocket."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url.rstrip("/")
        self.clock = clock
        self._http: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """The shared client, created on first use inside the loop."""
        if self._http is None:
            secured = client_context() if self.url.startswith("https:") else True
            connector = aiohttp.TCPConnector(limit=0, ssl=secured)
            self._http = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self._http

    async def sign_in(
        self, name: str, password: str, listener: Listener, link: AccessLink | None, timeout_s: float
    ) -> ReferenceSession:
        """Returns the person's session. Raises TargetUnreachable or SignInRefused."""
        session = ReferenceSession(ReferenceEndpoint(self.url, self.http, self.clock), name, password, listener, link)
        try:
            async with asyncio.timeout(timeout_s):
                await session.open()
        except BaseException as error:
            await session.close()
            if isinstance(error, TimeoutError):
                if session.refused is not None:
                    raise session.refused from None
                raise TargetUnreachable(f"{self.url} did not let {name} in within {timeout_s:.0f} s") from None
            raise
        return session

    async def close(self) -> None:
        """Closes the shared HTTP connections. Safe to call twice."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

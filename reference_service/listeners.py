"""Listens on the service's own address, and on the host ends of test links while they exist."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable

BACKLOG = 1024
"""Connections that the kernel queues while the service is busy."""


class ListenRefused(Exception):
    """The service cannot, or may not, listen on an address. The text is a sentence."""


class Listeners:
    """Adds and removes listening sockets on one port."""

    def __init__(self, make_protocol: Callable[[], asyncio.Protocol], link_range: ipaddress.IPv4Network) -> None:
        self._make_protocol = make_protocol
        self._link_range = link_range
        self._own: asyncio.Server | None = None
        self._links: dict[str, asyncio.Server] = {}
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listens on ``host``; port 0 takes a free one. Raises OSError."""
        self._own = await self._listen(host, port)
        self.port = int(self._own.sockets[0].getsockname()[1])

    async def add(self, address: str) -> str:
        """Listens on ``address`` too, and returns the URL; does nothing when it does already. Raises ListenRefused."""
        if not self._is_link(address):
            raise ListenRefused(f"{address} is not inside the link range {self._link_range}")
        if address not in self._links:
            try:
                self._links[address] = await self._listen(address, self.port)
            except OSError as problem:
                raise ListenRefused(f"cannot listen on {address}:{self.port}: {problem.strerror}") from None
        return f"http://{address}:{self.port}"

    async def remove(self, address: str) -> bool:
        """Stops listening on ``address``, which may not exist any more. Returns whether it was listened on."""
        server = self._links.pop(address, None)
        if server is None:
            return False
        with contextlib.suppress(OSError):
            server.close()
        return True

    async def stop(self) -> None:
        """Stops listening on all addresses. Open connections stay."""
        servers = [*self._links.values(), *([self._own] if self._own is not None else [])]
        self._links, self._own = {}, None
        for server in servers:
            with contextlib.suppress(OSError):
                server.close()

    @property
    def links(self) -> list[str]:
        """The link addresses listened on."""
        return sorted(self._links)

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(self._make_protocol, host, port, backlog=BACKLOG)

    def _is_link(self, address: str) -> bool:
        try:
            return ipaddress.IPv4Address(address) in self._link_range
        except ValueError:
            return False

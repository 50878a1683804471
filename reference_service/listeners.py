"""The addresses that the service listens on: its own, and the host ends of links while they live."""

from __future__ import annotations

import contextlib
import ipaddress

from aiohttp import web


class ListenRefused(Exception):
    """An address that we will not or cannot listen on; the text is a sentence."""


class Listeners:
    """Adds and removes listening sockets on one port."""

    def __init__(self, runner: web.AppRunner, link_range: ipaddress.IPv4Network) -> None:
        self._runner = runner
        self._link_range = link_range
        self._links: dict[str, web.TCPSite] = {}
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listens on ``host``; port 0 takes a free one. Raises OSError."""
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def add(self, address: str) -> str:
        """Listens on ``address`` too, and returns the URL; harmless when it does already. Raises ListenRefused."""
        if not self._is_link(address):
            raise ListenRefused(f"{address} is not inside the link range {self._link_range}")
        if address not in self._links:
            site = web.TCPSite(self._runner, address, self.port)
            try:
                await site.start()
            except OSError as problem:
                with contextlib.suppress(RuntimeError):
                    await site.stop()
                raise ListenRefused(f"cannot listen on {address}:{self.port}: {problem.strerror}") from None
            self._links[address] = site
        return f"http://{address}:{self.port}"

    async def remove(self, address: str) -> bool:
        """Stops listening on ``address``, which may be gone already; says whether it was listened on."""
        site = self._links.pop(address, None)
        if site is None:
            return False
        with contextlib.suppress(OSError):
            await site.stop()
        return True

    async def stop(self) -> None:
        """Takes no new client on any address; open sockets stay."""
        for site in list(self._runner.sites):
            with contextlib.suppress(OSError, RuntimeError):
                await site.stop()

    @property
    def links(self) -> list[str]:
        """The link addresses listened on."""
        return sorted(self._links)

    def _is_link(self, address: str) -> bool:
        try:
            return ipaddress.IPv4Address(address) in self._link_range
        except ValueError:
            return False

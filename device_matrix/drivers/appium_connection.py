"""Connects to an Appium server in its private network, past every proxy."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3
import urllib3.connection
import urllib3.connectionpool
import urllib3.exceptions
from appium.webdriver.appium_connection import AppiumConnection
from appium.webdriver.client_config import AppiumClientConfig

from bedrock.free_port import LOOPBACK
from network_profiles.links import private_network

STATUS_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class AppiumAddress:
    """Where a server listens: a loopback port in a private network."""

    network: str
    """The path by which a thread enters the network."""
    port: int

    @classmethod
    def at(cls, url: str, network: str) -> AppiumAddress:
        """Returns the address for ``url`` in ``network``."""
        return cls(network, urlsplit(url).port or 0)

    @property
    def url(self) -> str:
        """The address in requests and messages."""
        return f"http://{LOOPBACK}:{self.port}"

    def is_ready(self) -> bool:
        """Says whether an Appium server answers there and takes sessions."""
        asking = http.client.HTTPConnection(LOOPBACK, self.port, timeout=STATUS_TIMEOUT_S)
        try:
            asking.sock = private_network.connect(self.network, self.port, STATUS_TIMEOUT_S)
            asking.request("GET", "/status")
            with asking.getresponse() as answer:
                return bool(json.load(answer)["value"]["ready"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return False
        finally:
            asking.close()


class PrivateConnection(AppiumConnection):
    """Carries the commands of one session. Each command is sent once: urllib3's own retries are off."""

    def __init__(self, address: AppiumAddress, timeout_s: float) -> None:
        self._address = address
        super().__init__(client_config=AppiumClientConfig(remote_server_addr=address.url, timeout=timeout_s))

    def close(self) -> None:
        """Closes the session's sockets now.

        urllib3 itself closes them only when nothing refers to their pool any more. An error that was raised or logged
        refers to its pool, so one late answer would leave a socket open.
        """
        pools = [self._conn.pools[key] for key in self._conn.pools.keys()]  # noqa: SIM118 - it cannot be iterated
        super().close()  # type: ignore[no-untyped-call]
        for pool in pools:
            pool.close()

    def _get_connection_manager(self) -> urllib3.PoolManager:
        """Returns the manager of the session's connections, which ignores the environment's proxies."""
        manager = urllib3.PoolManager(retries=False)
        manager.pool_classes_by_scheme = {"http": _pool_class(self._address)}
        return manager


def _pool_class(address: AppiumAddress) -> type[urllib3.connectionpool.HTTPConnectionPool]:
    class NamespaceConnection(urllib3.connection.HTTPConnection):
        def _new_conn(self) -> socket.socket:
            timeout_s = self.timeout if isinstance(self.timeout, int | float) else None
            try:
                return private_network.connect(address.network, address.port, timeout_s)
            except OSError as error:
                raise urllib3.exceptions.NewConnectionError(self, f"no connection: {error}") from error

    class NamespacePool(urllib3.connectionpool.HTTPConnectionPool):
        ConnectionCls = NamespaceConnection

    return NamespacePool

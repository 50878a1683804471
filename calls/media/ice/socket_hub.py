"""Reads all UDP sockets of a process through one epoll descriptor, so that the loop wakes once for many datagrams.

A datagram is read into one shared buffer. A handler that keeps the data must copy it. Compared with one asyncio
transport per socket, this saves an address object, a bytes object and a loop callback for each datagram.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import select
import socket
import struct
from collections.abc import Callable

logger = logging.getLogger(__name__)

_libc = ctypes.CDLL(None)

DATAGRAM_MAX = 2048
"""Larger than any datagram that fits an Ethernet frame. A longer one is truncated and then fails to parse."""
_BATCH = 512
_ROUNDS = 8
_BUSY = 32
_RECEIVE_BUFFER = 512 * 1024
_SO_MEMINFO = 55
_SK_MEMINFO_DROPS = 8

_IGNORED_ERRORS = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EBADF})
"""ICMP errors about an earlier datagram, and a datagram that left its link after the leg had closed."""


class DatagramHandler:
    """Handles the datagrams of a socket; this base class ignores them. A class, because compiled code calls the method
    of its own base class without a lookup by name.
    """

    def on_datagram(self, data: bytearray, length: int, address: tuple[str, int], now_s: float) -> None:
        """Handles the datagram in the first ``length`` bytes of the shared buffer, read at ``now_s``."""


NO_DATAGRAM_HANDLER = DatagramHandler()
"""Handles what arrives after a close."""


class HubSocket:
    """One bound, non-blocking UDP socket of the hub."""

    __slots__ = (
        "_drops_at_close",
        "_hub",
        "_send",
        "_sock",
        "address",
        "handler",
        "peer",
        "receive",
        "receive_from",
        "send_errors",
    )

    def __init__(self, hub: SocketHub, sock: socket.socket, handler: DatagramHandler) -> None:
        self._hub = hub
        self._sock = sock
        self._send = sock.send
        self.receive = sock.recv_into
        self.receive_from = sock.recvfrom_into
        self.handler = handler
        self.peer: tuple[str, int] | None = None
        """The only accepted sender, while the socket is connected to a far end."""
        self.address: tuple[str, int] = sock.getsockname()[:2]
        self.send_errors = 0
        """Datagrams that the kernel refused to take."""
        self._drops_at_close = 0

    def send(self, data: bytes | memoryview, address: tuple[str, int]) -> None:
        """Sends one datagram, or counts it in ``send_errors``."""
        try:
            self._sock.sendto(data, address)
        except OSError as error:
            if error.errno not in _IGNORED_ERRORS:
                self.send_errors += 1

    def send_to_peer(self, data: bytes | memoryview) -> None:
        """Like ``send``, to ``peer``."""
        try:
            self._send(data)
        except OSError as error:
            if error.errno not in _IGNORED_ERRORS:
                self.send_errors += 1

    def connect_peer(self, peer: tuple[str, int]) -> None:
        """Accepts only ``peer`` from now on. The kernel caches the route, and no address object is created.

        Saves a quarter of the cost of a datagram.
        """
        try:
            self._sock.connect(peer)
        except OSError:
            return
        self.peer = peer

    def disconnect_peer(self) -> None:
        """Accepts every sender again."""
        if self.peer is not None and self._sock.fileno() >= 0:
            self.peer = None
            # connect(2): an address of family AF_UNSPEC dissolves the association; Python's socket cannot name it.
            _libc.connect(self._sock.fileno(), bytes(16), 16)

    def receive_drops(self) -> int:
        """Returns how many datagrams the kernel dropped because our receive buffer was full."""
        if self._sock.fileno() < 0:
            return self._drops_at_close
        try:
            raw = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
        except OSError:
            return 0
        counters = struct.unpack(f"={len(raw) // 4}I", raw)
        return counters[_SK_MEMINFO_DROPS] if len(counters) > _SK_MEMINFO_DROPS else 0

    def close(self) -> None:
        """Closes the socket. Safe to call twice."""
        if self._sock.fileno() >= 0:
            self._drops_at_close = self.receive_drops()
            self._hub.forget(self)
            self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()


class SocketHub:
    """Owns the epoll descriptor and the shared buffer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now_s: Callable[[], float]) -> None:
        self._loop = loop
        self._now_s = now_s
        self._epoll = select.epoll()
        self._sockets: dict[int, HubSocket] = {}
        self.buffer = bytearray(DATAGRAM_MAX)
        self.callback_errors = 0
        loop.add_reader(self._epoll.fileno(), self._readable)

    def open(self, bind_address: str, handler: DatagramHandler) -> HubSocket:
        """Returns a new socket on a free port of ``bind_address``. Raises OSError."""
        family = socket.AF_INET6 if ":" in bind_address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            sock.bind((bind_address, 0))
        except OSError:
            sock.close()
            raise
        hub_socket = HubSocket(self, sock, handler)
        self._sockets[sock.fileno()] = hub_socket
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        return hub_socket

    def forget(self, hub_socket: HubSocket) -> None:
        """Stops listening on a socket that is about to close."""
        number = hub_socket.fileno()
        if self._sockets.pop(number, None) is not None:
            self._epoll.unregister(number)

    def close(self) -> None:
        """Closes every socket and the epoll descriptor."""
        for hub_socket in list(self._sockets.values()):
            hub_socket.close()
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _readable(self) -> None:
        # One datagram per socket and round, so that a busy leg does not delay the others. More rounds only under load,
        # so that reading keeps up with a ticker that works off a backlog.
        for _round in range(_ROUNDS):
            ready = self._epoll.poll(0, _BATCH)
            self._read(ready)
            if len(ready) < _BUSY:
                return

    def _read(self, ready: list[tuple[int, int]]) -> None:
        sockets, buffer, now_s = self._sockets, self.buffer, self._now_s
        for number, _ in ready:
            hub_socket = sockets.get(number)
            if hub_socket is None:
                continue
            peer = hub_socket.peer
            try:
                if peer is None:
                    length, sender = hub_socket.receive_from(buffer)
                    peer = (sender[0], sender[1])  # IPv6 has two more fields
                else:
                    length = hub_socket.receive(buffer)
            except OSError:
                continue
            try:
                hub_socket.handler.on_datagram(buffer, length, peer, now_s())
            except Exception:
                self.callback_errors += 1
                logger.exception("the receiver of a datagram failed")

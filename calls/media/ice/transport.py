"""Runs one leg's socket: ICE, DTLS, then SRTP, told apart by the first byte (RFC 7983), all through the access link.

Set-up uses aioice and aiortc. After the key exchange, packets go between a shared buffer and the socket without a copy.
aioice goes on answering and sending consent checks (RFC 7675) on the same socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from calls.media.access_link import IP_UDP_BYTES, AccessLink
from calls.media.dtls.dtls import DtlsSession, SharedCertificate
from calls.media.dtls.srtp import PacketBuffer, Refusal, SrtpContext
from calls.media.ice.ice_path import IcePath
from calls.media.ice.socket_hub import NO_DATAGRAM_HANDLER, DatagramHandler, HubSocket, SocketHub
from calls.media.interface import MediaEvent

logger = logging.getLogger(__name__)

CLOSE_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """The far end's half of the transport, from its description."""

    ice_ufrag: str
    ice_pwd: str
    ice_lite: bool
    fingerprints: tuple[tuple[str, str], ...]
    """(algorithm, value)."""


@dataclass(frozen=True, slots=True)
class ConnectLimits:
    """How long each part of the set-up may take before the leg fails."""

    ice_s: float = 15.0
    dtls_s: float = 15.0


class TransportUser(Protocol):
    """The owner of the transport: the leg."""

    def on_rtcp(self, data: bytes, now_s: float) -> None:
        """Takes a decrypted compound RTCP packet."""

    def on_milestone(self, event: MediaEvent, reason: str) -> None:
        """Takes ICE, DTLS, RESTARTED or FAILED; FAILED comes with a reason."""

    def on_peer_left(self) -> None:
        """The far end closed its DTLS association."""


class RtpHandler:
    """Handles decrypted packets; this base class rejects them. A class, because compiled code calls the method of its
    own base class without a lookup by name.
    """

    def on_rtp(self, data: bytearray, length: int, now_s: float) -> bool:
        """Handles the packet in the first ``length`` bytes of a reused buffer; returns False when it is invalid."""
        return False


_NO_RTP_HANDLER = RtpHandler()


class LegTransport(DatagramHandler):
    """Opened in the constructor, which raises OSError when the address cannot be bound."""

    def __init__(
        self,
        user: TransportUser,
        hub: SocketHub,
        *,
        bind_address: str,
        certificate: SharedCertificate,
        link: AccessLink | None,
        limits: ConnectLimits,
        in_buffer: PacketBuffer,
        out_buffer: PacketBuffer,
        now_s: Callable[[], float],
    ) -> None:
        self._user = user
        self.rtp_handler = _NO_RTP_HANDLER
        """Receives the decrypted packets, once it is set."""
        self._hub = hub
        self._link = link
        self._limits = limits
        self._in = in_buffer
        self._out = out_buffer
        self._now_s = now_s
        self._socket: HubSocket = hub.open(bind_address, self)
        self.ice = IcePath(self._socket.address, self._send, self._ice_lost)
        self._former_ice: IcePath | None = None
        self.dtls = DtlsSession(certificate, self._send_to_peer, self._on_dtls_closed)
        self._tx: SrtpContext | None = None
        self._rx: SrtpContext | None = None
        self._peer: tuple[str, int] = ("", 0)
        self._connecting: asyncio.Task[None] | None = None
        self._parked_tx: SrtpContext | None = None
        """The keys while the leg moves: nothing may leave before the new path is valid."""
        self._errors_before = 0
        self._failed = False
        self._closing = False
        self._dead = False
        self.garbage = 0
        self.replayed = 0
        self.peer_left = False

    @property
    def send_errors(self) -> int:
        """Datagrams that our own socket refused to send or had no room to receive."""
        return self._errors_before + self._socket.send_errors + self._socket.receive_drops()

    @property
    def ready(self) -> bool:
        """Whether packets can be sent now."""
        return self._tx is not None and not self._closing and not self.peer_left

    def connect(self, remote: RemoteTransport, *, controlling: bool, dtls_role: str) -> None:
        """Starts ICE, then DTLS, in the background. The result is a milestone."""
        self._set_ice_remote(remote, controlling)
        self._connecting = asyncio.get_running_loop().create_task(self._connect(dtls_role, remote.fingerprints))

    async def restart_ice(self, remote: RemoteTransport) -> None:
        """Prepares a new path on the same socket (RFC 8445, section 9). Keys and streams stay.

        The new path's credentials are in ``ice`` at once; ``reconnect`` starts its checks.
        """
        # A restart in progress ends here: that side has moved again, or both have.
        await self._end_connecting()
        if self._former_ice is not None:
            await self._former_ice.close()
        # The far end's new path comes from an address that is unknown yet.
        self._socket.disconnect_peer()
        self._former_ice = self.ice
        self.ice = IcePath(self._socket.address, self._send, self._ice_lost)
        self._set_ice_remote(remote, self._former_ice.ice_controlling)

    async def move(self, bind_address: str) -> None:
        """Replaces the socket, whose network is dead, by a new one. The new credentials are in ``ice`` at once.

        Nothing is sent before ``reconnect`` has found a path. Raises OSError when the address cannot be bound.
        """
        socket = self._hub.open(bind_address, self)
        await self._end_connecting()
        left, former = self._socket, [path for path in (self.ice, self._former_ice) if path is not None]
        self._socket, self._former_ice = socket, None
        self.ice = IcePath(socket.address, self._send, self._ice_lost)
        self.ice.ice_controlling = former[0].ice_controlling
        if self._tx is not None:
            self._parked_tx, self._tx = self._tx, None
        for path in former:
            await _bounded(path.close())
        left.close()
        self._errors_before += left.send_errors + left.receive_drops()

    def set_remote(self, remote: RemoteTransport) -> None:
        """Sets the far end's half of the path that ``move`` began."""
        self._set_ice_remote(remote, self.ice.ice_controlling)

    def fall_silent(self) -> None:
        """The device is gone: sends and receives nothing any more."""
        self._dead = True
        self._tx = self._parked_tx = self._rx = None

    def reconnect(self) -> None:
        """Starts the checks of the new path in the background. Packets use the old path, if any, until it is valid."""
        self._connecting = asyncio.get_running_loop().create_task(self._reconnect())

    def send_rtp(self, length: int) -> None:
        """Encrypts and sends the RTP packet in the first ``length`` bytes of the out buffer."""
        tx = self._tx
        if tx is not None:
            out, socket = self._out, self._socket
            sent = out.protect(tx, length)
            if socket.peer is not None:
                socket.send_to_peer(out.view[:sent])
            elif self._link is None:
                socket.send(out.view[:sent], self._peer)
            else:
                self._send(bytes(out.view[:sent]), self._peer)

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypts and sends a compound RTCP packet."""
        if self.ready and self._tx is not None:
            out = self._out
            out.data[: len(packet)] = packet
            # A separate statement: mypyc evaluates the bound of a slice twice, which would encrypt twice.
            length = out.protect_rtcp(self._tx, len(packet))
            self._send_to_peer(bytes(out.view[:length]))

    async def close(self) -> None:
        """Ends everything within CLOSE_LIMIT_S."""
        if self._closing:
            return
        self._closing = True
        await self._end_connecting()
        await _bounded(self.dtls.close())
        for path in (self.ice, self._former_ice):
            if path is not None:
                await _bounded(path.close())
        self._socket.close()
        self._tx = self._rx = None
        self._release()

    def _release(self) -> None:
        """Removes every reference back to us, so that a closed leg is freed at once.

        A reference cycle would wait for a full garbage collection, which an engine under load must never need.
        """
        self._socket.handler = NO_DATAGRAM_HANDLER
        for path in (self.ice, self._former_ice):
            if path is not None:
                path.release()
        self._former_ice = self._connecting = None
        self.dtls.release()
        self._user, self.rtp_handler = _NOBODY, _NO_RTP_HANDLER

    async def _connect(self, dtls_role: str, fingerprints: Sequence[tuple[str, str]]) -> None:
        stage = "ice"
        try:
            async with asyncio.timeout(self._limits.ice_s):
                await self.ice.connect()
            self._peer = self.ice.remote_address() or self._peer
            self._user.on_milestone(MediaEvent.ICE, "")
            stage = "dtls"
            async with asyncio.timeout(self._limits.dtls_s):
                connected = await self.dtls.handshake(dtls_role, fingerprints)
        except TimeoutError:
            self._fail(f"{stage}_timeout")
        except (ConnectionError, OSError):
            self._fail(f"{stage}_failed")
        except Exception:
            logger.exception("connecting a leg failed with an unexpected error")
            self._fail(f"{stage}_error")
        else:
            if not connected:
                self._fail("dtls_failed")
                return
            self._tx, self._rx = self.dtls.tx, self.dtls.rx
            if self._link is None and self.ice.has_single_remote_address():
                self._socket.connect_peer(self._peer)
            self._user.on_milestone(MediaEvent.DTLS, "")

    async def _reconnect(self) -> None:
        try:
            async with asyncio.timeout(self._limits.ice_s):
                await self.ice.connect()
        except (TimeoutError, ConnectionError, OSError):
            self._fail("ice_restart_failed")
            return
        self._peer = self.ice.remote_address() or self._peer
        if self._parked_tx is not None:
            self._tx, self._parked_tx = self._parked_tx, None
        self._user.on_milestone(MediaEvent.RESTARTED, "")
        former, self._former_ice = self._former_ice, None
        if former is not None:
            await former.close()

    def _set_ice_remote(self, remote: RemoteTransport, controlling: bool) -> None:
        self.ice.ice_controlling = controlling
        self.ice.remote_is_lite = remote.ice_lite
        self.ice.remote_username = remote.ice_ufrag
        self.ice.remote_password = remote.ice_pwd

    async def _end_connecting(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)

    def _fail(self, reason: str) -> None:
        if not self._failed and not self._closing:
            self._failed = True
            self._user.on_milestone(MediaEvent.FAILED, reason)

    def _ice_lost(self, path: IcePath) -> None:
        if path is self.ice:
            self._fail("consent_lost")

    def _on_dtls_closed(self) -> None:
        self.peer_left = True
        self._user.on_peer_left()

    def _send_to_peer(self, data: bytes) -> None:
        # The far end may have nominated a better pair meanwhile.
        self._peer = self.ice.remote_address() or self._peer
        self._send(data, self._peer)

    def _send(self, data: bytes, address: tuple[str, int]) -> None:
        if self._dead:
            return
        if self._link is None:
            self._socket.send(data, address)
        else:
            self._link.send_up(len(data) + IP_UDP_BYTES, lambda: self._socket.send(data, address))

    def on_datagram(self, data: bytearray, length: int, address: tuple[str, int], now_s: float) -> None:
        """Called by the socket. The datagram is handled now, or once it has passed the access link."""
        if self._link is None:
            self._arrived(data, length, address, now_s)
        else:
            copy = bytes(data[:length])
            self._link.send_down(length + IP_UDP_BYTES, lambda: self._arrived_through_link(copy, address))

    def _arrived_through_link(self, datagram: bytes, address: tuple[str, int]) -> None:
        if not self._closing:
            self._in.data[: len(datagram)] = datagram
            self._arrived(self._in.data, len(datagram), address, self._now_s())

    def _arrived(self, data: bytearray, length: int, address: tuple[str, int], now_s: float) -> None:
        first = data[0] if length else 255
        if 128 <= first <= 191 and length >= 8:
            rx = self._rx
            if rx is None:
                return
            # RFC 5761: with rtcp-mux, payload types 64 to 95 are RTCP.
            if 192 <= data[1] <= 223:
                plain = self._in.unprotect_rtcp(rx, length)
                if plain:
                    self._user.on_rtcp(bytes(data[:plain]), now_s)
            else:
                plain = self._in.unprotect(rx, length)
                if plain and not self.rtp_handler.on_rtp(data, plain, now_s):
                    self.garbage += 1
            if not plain:
                self._count_refused()
        elif 20 <= first <= 63 and self.ice.knows(address[:2]):
            self.dtls.received(bytes(data[:length]))
        elif first > 3 or not self._on_stun(bytes(data[:length]), address):
            self.garbage += 1

    def _on_stun(self, datagram: bytes, address: tuple[str, int]) -> bool:
        address = address[:2]  # IPv6 adds flow and scope, and aioice compares addresses
        if self._former_ice is None:
            return self.ice.received(datagram, address)
        takers = [path for path in (self.ice, self._former_ice) if path.is_addressed(datagram)]
        return any([path.received(datagram, address) for path in takers])

    def _count_refused(self) -> None:
        if self._in.refusal() is Refusal.REPLAYED:
            self.replayed += 1
        else:
            self.garbage += 1


class _Nobody:
    """Replaces the owner of a closed transport."""

    def on_rtcp(self, data: bytes, now_s: float) -> None:
        """Ignored."""

    def on_milestone(self, event: MediaEvent, reason: str) -> None:
        """Ignored."""

    def on_peer_left(self) -> None:
        """Ignored."""


_NOBODY = _Nobody()


async def _bounded(ending: Coroutine[Any, Any, None]) -> None:
    """Waits for an ending, at most CLOSE_LIMIT_S, and ignores its errors."""
    task = asyncio.get_running_loop().create_task(ending)
    _, pending = await asyncio.wait({task}, timeout=CLOSE_LIMIT_S)
    for late in pending:
        late.cancel()
    await asyncio.gather(task, return_exceptions=True)

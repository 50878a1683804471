"""Runs DTLS-SRTP by aiortc's transport, with one certificate and one OpenSSL context for the whole process.

A key pair and a context for each call would cost more than the handshake itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    SRTPProtectionProfile,
)
from OpenSSL import SSL

from calls.media.dtls.srtp import SrtpContext

_PROFILES = sorted(SRTP_PROFILES, key=lambda profile: profile.openssl_profile != b"SRTP_AEAD_AES_128_GCM")
"""128-bit GCM first: measured as the cheapest where the processor has AES instructions."""
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
    b":ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA"
    b":ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"
)
"""As browsers offer. aiortc's own list has only ECDSA, and the certificate of a gateway is often RSA."""
_BACKLOG = 64


class SharedCertificate(RTCCertificate):
    """The process's certificate. One OpenSSL context serves every handshake in either role."""

    _context: SSL.Context | None = None
    _sha256: str = ""

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            self._context = super()._create_ssl_context(srtp_profiles)
            self._context.set_cipher_list(_CIPHERS)
            # A shared context would cache every session for resumption, which no call uses.
            self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        return self._context

    def sha256(self) -> str:
        """Returns the fingerprint for the description."""
        if not self._sha256:
            self._sha256 = next(f.value for f in self.getFingerprints() if f.algorithm == "sha-256")
        return self._sha256


class _IceTransportStub:
    """The parts of an ICE transport that aiortc's DTLS transport needs."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send_datagram = send
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue(_BACKLOG)

    async def _recv(self) -> bytes:
        datagram = await self.inbox.get()
        if datagram is None:
            raise ConnectionError("the leg is closing")
        return datagram

    async def _send(self, data: bytes) -> None:
        self._send_datagram(data)

    def release(self) -> None:
        """Releases the socket."""
        self._send_datagram = _send_nothing


class DtlsSession:
    """One handshake, its SRTP keys, and the alerts that follow."""

    def __init__(self, certificate: SharedCertificate, send: Callable[[bytes], None], on_closed: Callable[[], None]):
        self._carrier = _IceTransportStub(send)
        self._transport = RTCDtlsTransport(self._carrier, [certificate])  # type: ignore[arg-type]
        self._transport._srtp_profiles = _PROFILES
        self._on_closed = on_closed
        self._pump: asyncio.Future[None] | None = None
        self.tx: SrtpContext | None = None
        self.rx: SrtpContext | None = None

    def received(self, datagram: bytes) -> None:
        """Takes one DTLS datagram; drops it when too many wait."""
        if not self._carrier.inbox.full():
            self._carrier.inbox.put_nowait(datagram)

    async def handshake(self, role: str, fingerprints: Sequence[tuple[str, str]]) -> bool:
        """Runs the handshake as ``client`` or ``server``. Returns False when it or the certificate is rejected."""
        transport = self._transport
        transport._set_role(role)
        await transport.start(RTCDtlsParameters([RTCDtlsFingerprint(*fingerprint) for fingerprint in fingerprints]))
        if transport.state != "connected":
            return False
        self.tx = SrtpContext(transport._tx_srtp)
        self.rx = SrtpContext(transport._rx_srtp)
        self._pump = transport._task
        if self._pump is not None:
            self._pump.add_done_callback(self._pump_ended)
        return True

    def _pump_ended(self, pump: asyncio.Future[None]) -> None:
        if not pump.cancelled() and pump.exception() is None:
            self._on_closed()

    async def close(self) -> None:
        """Sends close_notify to the far end and ends the receiving task."""
        transport = self._transport
        await transport.stop()
        self._carrier.inbox = asyncio.Queue(_BACKLOG)
        if self._pump is not None:
            await asyncio.gather(self._pump, return_exceptions=True)
        transport.remove_all_listeners()

    def release(self) -> None:
        """Releases callbacks, socket and keys. Call it after ``close``."""
        self._carrier.release()
        self._on_closed = _nothing
        self._pump = None
        self.tx = self.rx = None


def _nothing() -> None:
    """Replaces the callback of a closed leg."""


def _send_nothing(_data: bytes) -> None:
    """Replaces the socket of a closed leg."""

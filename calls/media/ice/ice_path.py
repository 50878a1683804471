"""Runs ICE by aioice on one socket of the hub: the host candidate of one given address, no server.

aioice finds its own addresses (and skips 127.0.0.1) in ``gather_candidates``. This class does not call that method, so
it stays on a single address. aioice's protocol object sends and receives through the leg's transport.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
from collections.abc import Callable

import aioice
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CONSENT_INTERVAL, CandidatePair, StunProtocol
from aioice.stun import Message, Transaction, TransactionError

from calls.media.ice.ice_candidate import read_candidate

logger = logging.getLogger(__name__)

CONSENT_EXPIRES_S = 30.0
"""RFC 7675, section 5.1."""

MAX_REMOTE_CANDIDATES = 64
"""aioice checks each candidate and sorts the list again for each: thousands of them would stall the loop."""

Send = Callable[[bytes, tuple[str, int]], None]


class _Protocol(StunProtocol):
    """aioice's side of the socket."""

    def __init__(self, connection: IcePath, send: Send) -> None:
        super().__init__(connection)
        self._send = send

    async def send_data(self, data: bytes, addr: tuple[str, int]) -> None:
        self._send(data, addr)

    def send_stun(self, message: Message, addr: tuple[str, int]) -> None:
        self._send(bytes(message), addr)

    async def close(self) -> None:
        """Does nothing: the leg's transport owns the socket and closes it last."""

    def release(self) -> None:
        """Releases the connection and the socket."""
        self.receiver = None  # type: ignore[assignment]
        self._send = _send_nothing


class _ConsentTransaction(Transaction):
    """One request that is never resent and waits for its answer as long as consent lasts."""

    def __init__(self, request: Message, address: tuple[str, int], protocol: StunProtocol, key: bytes) -> None:
        super().__init__(request, address, protocol, retransmissions=0, integrity_key=key)
        self._Transaction__timeout_delay = CONSENT_EXPIRES_S


class IcePath(aioice.Connection):
    """One ICE component over one socket."""

    def __init__(self, address: tuple[str, int], send: Send, on_lost: Callable[[IcePath], None]) -> None:
        super().__init__(ice_controlling=False)
        self._on_lost = on_lost
        self._protocol = _Protocol(self, send)
        self._protocol.local_candidate = aioice.Candidate(
            foundation=candidate_foundation("host", "udp", address[0]),
            component=1,
            transport="udp",
            priority=candidate_priority(1, "host"),
            host=address[0],
            port=address[1],
            type="host",
        )
        self._protocols = [self._protocol]
        self._local_candidates = [self._protocol.local_candidate]
        self._local_candidates_start = self._local_candidates_end = True

    def local_candidate_sdp(self) -> str:
        """Returns the candidate as it appears in a description after ``a=candidate:``."""
        return str(self._protocol.local_candidate.to_sdp())

    def is_addressed(self, datagram: bytes) -> bool:
        """Returns whether a STUN request addresses this path (USERNAME starts with our fragment). Responses
        carry none.
        """
        return datagram[0] != 0 or f"{self.local_username}:".encode() in datagram

    def received(self, datagram: bytes, address: tuple[str, int]) -> bool:
        """Takes one STUN datagram; returns False when it is malformed in a way that aioice does not expect."""
        try:
            self._protocol.datagram_received(datagram, address)
        except Exception:
            logger.debug("a malformed STUN datagram was ignored", exc_info=True)
            return False
        return True

    def data_received(self, data: bytes, component: int) -> None:
        """Ignores what aioice cannot parse; the transport has sorted the datagrams before."""

    def remote_address(self) -> tuple[str, int] | None:
        """Returns the far end's address of the nominated pair; None before nomination."""
        pair = self._nominated.get(1)
        return pair.remote_addr if pair is not None else None

    def has_single_remote_address(self) -> bool:
        """Returns whether the far end has only one address: the nominated one."""
        return len(self._remote_candidates) == 1 and self._remote_candidates_end

    def knows(self, address: tuple[str, int]) -> bool:
        """Returns whether ``address`` was in a description, or has passed a check with our credentials."""
        return any((one._network_host, one.port) == address for one in self._remote_candidates)

    async def add_remote_sdp(self, candidate_sdp: str) -> bool:
        """Adds a remote candidate; returns whether we can use it (UDP, a numeric address of our family)."""
        candidate = read_candidate(candidate_sdp)
        if candidate is None:
            return False
        ours = ipaddress.ip_address(self._protocol.local_candidate.host).version
        if ipaddress.ip_address(candidate.host).version != ours:
            return False
        if not self._remote_candidates_end and len(self._remote_candidates) < MAX_REMOTE_CANDIDATES:
            await self.add_remote_candidate(candidate)
        return True

    async def end_remote_candidates(self) -> None:
        """Says that no more candidates come, so that a failure is reported as soon as it is certain."""
        if not self._remote_candidates_end:
            await self.add_remote_candidate(None)

    async def query_consent(self) -> None:
        """Keeps consent to send (RFC 7675). Each check is sent once, and a late answer counts.

        aioice gives each check 0.5 s, which fails on any link with a longer round trip.
        """
        loop = asyncio.get_running_loop()
        self._consent_at_s = loop.time()
        checks: set[asyncio.Task[None]] = set()
        try:
            while loop.time() - self._consent_at_s < CONSENT_EXPIRES_S:
                await asyncio.sleep(CONSENT_INTERVAL * random.uniform(0.8, 1.2))
                for pair in self._nominated.values():
                    checks.add(asyncio.create_task(self._check_consent(pair)))
                checks = {check for check in checks if not check.done()}
        finally:
            for check in checks:
                check.cancel()
            await asyncio.gather(*checks, return_exceptions=True)
        self._query_consent_task = None
        await self.close()

    async def _check_consent(self, pair: CandidatePair) -> None:
        assert self.remote_password is not None
        key = self.remote_password.encode()
        request = self.build_request(pair, nominate=False)
        request.add_message_integrity(key)
        transaction = _ConsentTransaction(request, pair.remote_addr, pair.protocol, key)
        pair.protocol.transactions[request.transaction_id] = transaction
        try:
            await transaction.run()
        except TransactionError:
            return
        finally:
            pair.protocol.transactions.pop(request.transaction_id, None)
        self._consent_at_s = asyncio.get_running_loop().time()

    def release(self) -> None:
        """Releases the callbacks. Call it after ``close``."""
        self._on_lost = _ignore_event
        self._protocol.release()

    def _emit_event(self, event: object) -> None:
        self._on_lost(self)


def _ignore_event(_path: IcePath) -> None:
    """Replaces the callback of a closed path."""


def _send_nothing(_data: bytes, _address: tuple[str, int]) -> None:
    """Replaces the socket of a closed path."""

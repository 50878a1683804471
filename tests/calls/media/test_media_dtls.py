"""DTLS against peers as gateways have them: with RSA certificates, in either role."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from waiting import HANG_LIMIT_S

from calls.media.dtls.dtls import DtlsSession, SharedCertificate


def rsa_certificate(key_bits: int, names: int) -> SharedCertificate:
    """A gateway's certificate, for as many names."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=key_bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "media.example")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = x509.SubjectAlternativeName([x509.DNSName(f"m{number}.example.test") for number in range(names)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=9))
        .add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
    )
    return SharedCertificate(key, certificate)


def fingerprints(certificate: SharedCertificate) -> list[tuple[str, str]]:
    return [(one.algorithm, one.value) for one in certificate.getFingerprints()]


def joined(ours: SharedCertificate, theirs: SharedCertificate) -> tuple[DtlsSession, DtlsSession]:
    """Two sessions with a wire between them."""

    def to_them(datagram: bytes) -> None:
        them.received(datagram)

    us = DtlsSession(ours, to_them, lambda: None)
    them = DtlsSession(theirs, us.received, lambda: None)
    return us, them


@pytest.mark.parametrize("our_role", ["client", "server"])
async def test_a_peer_with_an_rsa_certificate(our_role: str) -> None:
    ours, theirs = SharedCertificate.generateCertificate(), rsa_certificate(2048, 1)
    assert isinstance(ours, SharedCertificate)
    us, them = joined(ours, theirs)
    their_role = "server" if our_role == "client" else "client"
    async with asyncio.timeout(HANG_LIMIT_S):
        outcome = await asyncio.gather(
            us.handshake(our_role, fingerprints(theirs)), them.handshake(their_role, fingerprints(ours))
        )
        assert outcome == [True, True]
        assert us.tx is not None
        assert them.rx is not None
        await asyncio.gather(us.close(), them.close())
    us.release()
    them.release()


async def test_another_certificate_than_the_described_one_is_refused() -> None:
    ours, theirs = SharedCertificate.generateCertificate(), rsa_certificate(2048, 1)
    assert isinstance(ours, SharedCertificate)
    us, them = joined(ours, theirs)
    other = rsa_certificate(2048, 1)
    async with asyncio.timeout(HANG_LIMIT_S):
        accepted, _ = await asyncio.gather(
            us.handshake("client", fingerprints(other)), them.handshake("server", fingerprints(ours))
        )
        assert accepted is False
        await asyncio.gather(us.close(), them.close())
    us.release()
    them.release()


class Wire(asyncio.DatagramProtocol):
    """Hands datagrams of a UDP socket to a session."""

    def __init__(self) -> None:
        self.heard: Callable[[bytes], None] = lambda _data: None

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard(data)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_a_gateway_s_certificate_that_fills_several_datagrams(tmp_path: Path) -> None:
    """OpenSSL's own server: 4096 bits and forty names, in fragments of one datagram each."""
    theirs = rsa_certificate(4096, 40)
    pem, key = tmp_path / "gateway.pem", tmp_path / "gateway.key"
    pem.write_bytes(theirs._cert.public_bytes(Encoding.PEM))
    key.write_bytes(theirs._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    gateway = await asyncio.create_subprocess_exec(
        "openssl", "s_server", "-dtls", "-accept", f"127.0.0.1:{port}", "-cert", str(pem), "-key", str(key),
        "-verify", "1", "-mtu", "1200", "-use_srtp", "SRTP_AES128_CM_SHA1_80",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    ours = SharedCertificate.generateCertificate()
    assert isinstance(ours, SharedCertificate)
    transport, wire = await asyncio.get_running_loop().create_datagram_endpoint(Wire, remote_addr=("127.0.0.1", port))
    us = DtlsSession(ours, transport.sendto, lambda: None)
    wire.heard = us.received
    try:
        assert gateway.stdout is not None
        async with asyncio.timeout(HANG_LIMIT_S):
            while b"ACCEPT" not in await gateway.stdout.readline():
                pass
            assert await us.handshake("client", fingerprints(theirs))
            assert us.tx is not None
            await us.close()
    finally:
        us.release()
        transport.close()
        gateway.kill()
        await gateway.communicate()

"""A target behind TLS with a certificate of its own, a target on IPv6, and tokens that end in the middle."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from media_calls import factory, place, spec
from tls_front import behind_tls, certificate
from waiting import HANG_LIMIT_S

from bedrock.clock import SystemClock
from bedrock.errors import InputError
from calls.call.call_rules import SignalType
from calls.errors import TlsFailed
from calls.media.interface import MediaEvent
from calls.targets.admin_api import AdminApi
from calls.targets.own_service import OwnService, start_own_service
from calls.targets.protocol import Signal
from calls.targets.reference import ReferenceTarget
from calls.targets.trust import CA_FILE_VARIABLE, key_digests, trust

pytestmark = pytest.mark.integration


class Nobody:
    """Hears what it must."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.signals: asyncio.Queue[Signal] = asyncio.Queue()

    def on_signal(self, signal: Signal) -> None:
        self.signals.put_nowait(signal)

    def on_resuming(self, call_id: str) -> None:
        """Not looked at."""

    def on_garbage(self, what: str) -> None:
        raise AssertionError(what)

    def on_lost(self) -> None:
        self.lost.set()


@contextlib.asynccontextmanager
async def own_service(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[OwnService]:
    log = folder / "service.log"
    service = await asyncio.to_thread(lambda: start_own_service(folder / "db.sqlite", log, host=host))
    people = [{"name": name, "display_name": name, "password": name} for name in ("ann", "bob")]
    try:
        seed = {"users": people, "follows": [["ann", "bob"], ["bob", "ann"]]}
        await asyncio.to_thread(AdminApi(service.url, service.admin_token).seed, seed)
        yield service
    finally:
        await asyncio.to_thread(service.process.stop)


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # Set first, so that what ``trust`` puts there is gone after the test.
    monkeypatch.setenv(CA_FILE_VARIABLE, "")


async def test_a_certificate_that_is_not_trusted_is_named_with_the_way_to_trust_it(tmp_path: Path) -> None:
    _, context = certificate(tmp_path)
    async with own_service(tmp_path) as service, behind_tls(service.url, context) as url:
        with pytest.raises(TlsFailed, match=r"certificate of https://.* is not trusted: self.signed") as admin:
            await asyncio.to_thread(AdminApi(url).health)
        target = ReferenceTarget(url, SystemClock())
        with pytest.raises(TlsFailed, match="is not trusted") as engine:
            await target.sign_in("ann", "ann", Nobody(), None, HANG_LIMIT_S)
        await target.close()
    for raised in (admin, engine):
        assert "target.ca_file" in raised.value.hint
        assert CA_FILE_VARIABLE in raised.value.hint


async def test_a_certificate_of_one_s_own_is_trusted_by_every_client(tmp_path: Path) -> None:
    pem, context = certificate(tmp_path)
    trust(pem)
    async with own_service(tmp_path) as service, behind_tls(service.url, context) as url:
        assert (await asyncio.to_thread(AdminApi(url, service.admin_token).health))["status"] == "ok"
        target = ReferenceTarget(url, SystemClock())
        ann = await target.sign_in("ann", "ann", Nobody(), None, HANG_LIMIT_S)
        bob_hears = Nobody()
        bob = await target.sign_in("bob", "bob", bob_hears, None, HANG_LIMIT_S)
        ann.invite("over-tls", "bob", "audio", "v=0")
        signal = await asyncio.wait_for(bob_hears.signals.get(), HANG_LIMIT_S)
        assert signal.what is SignalType.INCOMING
        await ann.close()
        await bob.close()
        await target.close()


async def test_another_certificate_or_name_or_one_that_has_expired_is_told_as_such(tmp_path: Path) -> None:
    for folder, changes, said, hint in (
        ("other", {}, "is not trusted", "must hold this certificate"),
        ("name", {"name": "127.0.0.9"}, "for another name", "the name it was made for"),
        ("old", {"days": -3}, "has expired", "renew it"),
    ):
        (tmp_path / folder).mkdir()
        pem, context = certificate(tmp_path / folder, **changes)  # type: ignore[arg-type]
        if folder == "other":
            (tmp_path / "unrelated").mkdir()
            pem, _ = certificate(tmp_path / "unrelated")
        trust(pem)
        async with own_service(tmp_path / folder) as service, behind_tls(service.url, context) as url:
            with pytest.raises(TlsFailed, match=said) as raised:
                await asyncio.to_thread(AdminApi(url).health)
            assert hint in raised.value.hint


def test_browsers_are_told_the_key_of_the_certificate(tmp_path: Path) -> None:
    pem, _ = certificate(tmp_path)
    assert key_digests() == []
    trust(pem)
    key = x509.load_pem_x509_certificate(pem.read_bytes()).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert key_digests() == [base64.b64encode(hashlib.sha256(der).digest()).decode()]


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff" * 100, "folder"])
def test_a_file_without_a_certificate_is_told_as_such(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "ca.pem"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    trust(path)
    with pytest.raises(InputError) as raised:
        AdminApi("https://127.0.0.1:9").health()
    assert "ca.pem" in str(raised.value.problems[0])


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@needs_ipv6
async def test_a_target_on_ipv6_is_signalled_with(tmp_path: Path) -> None:
    async with own_service(tmp_path, "::1") as service:
        assert service.url.startswith("http://[::1]:")
        target = ReferenceTarget(service.url, SystemClock())
        ann, bob_hears = await target.sign_in("ann", "ann", Nobody(), None, HANG_LIMIT_S), Nobody()
        bob = await target.sign_in("bob", "bob", bob_hears, None, HANG_LIMIT_S)
        ann.invite("over-v6", "bob", "audio", "v=0")
        assert (await asyncio.wait_for(bob_hears.signals.get(), HANG_LIMIT_S)).what is SignalType.INCOMING
        await ann.close()
        await bob.close()
        await target.close()


@needs_ipv6
async def test_media_travel_over_ipv6() -> None:
    async with factory() as made:
        call = await place(made, spec(1, bind_address="::1"), spec(2, bind_address="::1"))
        await call.caller_ear.wait(MediaEvent.FIRST_AUDIO)
        await call.callee_ear.wait(MediaEvent.FIRST_AUDIO)
        assert call.caller.transport.ice.remote_address() == call.callee.transport._socket.address
        caller, callee = await call.close()
        assert caller.failure == callee.failure == ""


async def test_a_token_that_ended_meanwhile_costs_no_call() -> None:
    """The service lets nobody in again with the first token; the person has a new one before the call is given up."""
    tokens, hellos = iter(("first", "second", "third")), []
    ended: set[str] = set()
    welcome = {"type": "welcome", "user": {}, "contacts": [], "policy": {"degradation": True, "no_answer_s": 30}}

    async def sign_in(_request: web.Request) -> web.Response:
        return web.json_response({"token": next(tokens), "user": {}})

    async def serve(request: web.Request) -> web.WebSocketResponse:
        peer = web.WebSocketResponse()
        await peer.prepare(request)
        hello = await peer.receive_json()
        hellos.append(hello["token"])
        if hello["token"] in ended:
            await peer.send_json({"type": "error", "code": "bad_token", "message": "no"})
            await peer.close()
            return peer
        await peer.send_json(welcome)
        async for frame in peer:
            said = frame.json()
            if said["type"] == "ping":
                await peer.send_json({"type": "pong", "n": said["n"]})
            elif said["type"] == "call.resume":
                answer = {"type": "call.resumed", "call_id": said["call_id"], "state": "answered", "media": "audio"}
                await peer.send_json(answer)
                resumed.set()
        return peer

    resumed, listener = asyncio.Event(), Nobody()
    app = web.Application()
    app.add_routes([web.post("/api/sign-in", sign_in), web.get("/ws", serve)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    target = ReferenceTarget(f"http://127.0.0.1:{runner.addresses[0][1]}", SystemClock())
    try:
        ann = await target.sign_in("ann", "ann", listener, None, HANG_LIMIT_S)
        ann.invite("goes-on", "bob", "audio", "v=0")
        ended.add("first")
        ann.break_off()
        await asyncio.wait_for(resumed.wait(), HANG_LIMIT_S)
        assert hellos == ["first", "first", "second"]
        assert not listener.lost.is_set()
        await ann.close()
    finally:
        await target.close()
        await runner.cleanup()

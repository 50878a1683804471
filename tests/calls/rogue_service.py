"""Services that misbehave: real servers on loopback, in the loop of who asks for them."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

WELCOME = {"type": "welcome", "user": {}, "contacts": [], "policy": {"degradation": False, "no_answer_s": 30}}
Said = dict[str, Any]
SignIn = Callable[[int], web.StreamResponse]
Reply = Callable[[Said], list[Said | str | bytes]]


class RogueService:
    """Speaks the reference service's protocol as far as it is told to; ``url`` once it runs."""

    def __init__(
        self,
        *,
        sign_in: SignIn | None = None,
        greeting: Said | str | None = WELCOME,
        reply: Reply | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.sign_ins = 0
        self.said: list[Said] = []
        self._sign_in = sign_in or (lambda _number: web.json_response({"token": "t", "user": {}}))
        self._greeting = greeting
        self._reply = reply or (lambda _said: [])
        self._tls = tls
        self._stop = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> RogueService:
        app = web.Application()
        app.router.add_post("/api/sign-in", self._take_sign_in)
        app.router.add_get("/ws", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        self._runner = runner
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take_sign_in(self, _request: web.Request) -> web.StreamResponse:
        self.sign_ins += 1
        return self._sign_in(self.sign_ins)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        if self._greeting is None:
            await self._stop.wait()  # never says a word
            return socket
        await socket.send_str(self._greeting if isinstance(self._greeting, str) else json.dumps(self._greeting))
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                continue
            said = json.loads(frame.data)
            self.said.append(said)
            if said["type"] == "ping":
                await socket.send_str(json.dumps({"type": "pong", "n": said["n"]}))
                continue
            for message in self._reply(said):
                if isinstance(message, bytes):
                    await socket.send_bytes(message)
                else:
                    await socket.send_str(message if isinstance(message, str) else json.dumps(message))
        return socket


@asynccontextmanager
async def silent_port() -> AsyncIterator[str]:
    """A port that takes connections and never says a word: a half-open service."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> str:
    """Returns the URL of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def self_signed(folder: Path) -> ssl.SSLContext:
    """Returns the server's half of TLS with a certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context

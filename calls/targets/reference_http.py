"""Signs in at the reference service over HTTP, and names everything that can go wrong."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import aiohttp
import msgspec

from bedrock.clock import Clock
from bedrock.errors import TargetUnreachable
from calls.errors import NotTheService, RateLimited, SignInRefused, TlsFailed
from calls.targets.trust import why_untrusted

MAX_SIGN_IN_BYTES = 64 * 1024
LONGEST_WAIT_S = 60.0
"""A service that asks to retry later than this is not waited for."""


@dataclass(frozen=True, slots=True)
class ReferenceEndpoint:
    """What all sessions with one service share."""

    url: str
    http: aiohttp.ClientSession
    clock: Clock

    async def fetch_token(self, name: str, password: str) -> str:
        """Returns a token for the WebSocket. Raises as the function ``fetch_token`` does."""
        return await fetch_token(self.http, self.url, name, password)


async def fetch_token(http: aiohttp.ClientSession, url: str, name: str, password: str) -> str:
    """Returns a token for the WebSocket.

    Raises TargetUnreachable, TlsFailed, NotTheService, SignInRefused, or RateLimited when the service asks to retry
    within LONGEST_WAIT_S.
    """
    try:
        async with http.post(
            f"{url}/api/sign-in", json={"name": name, "password": password}, allow_redirects=False
        ) as response:
            body = await _read_at_most(response, MAX_SIGN_IN_BYTES)
            status, retry_after = response.status, response.headers.get("Retry-After", "")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise unreachable(url, "does not answer a sign-in", error) from None
    if status == 429 and retry_after.isdecimal() and int(retry_after) <= LONGEST_WAIT_S:
        raise RateLimited(f"the service accepts no more sign-ins now: {name}", retry_after_s=float(retry_after))
    answer = _json(body)
    if not isinstance(answer, dict) or not isinstance(token := answer.get("token", ""), str):
        raise NotTheService(f"{url} answers, but not as the reference service")
    if status != 200 or not token:
        code = str(answer.get("error", status))
        raise SignInRefused(f"the service does not let {name} in: {code}", code=code)
    return token


def unreachable(url: str, what: str, error: Exception) -> TargetUnreachable:
    """Returns the error that says why the service cannot be reached."""
    certificate = getattr(error, "certificate_error", error)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        sentence, hint = why_untrusted(url, certificate)
        return TlsFailed(sentence, hint=hint)
    if isinstance(error, (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError, ssl.SSLError)):
        return TlsFailed(f"{url} {what}: no safe connection: {error}", hint="check the certificate, and the port")
    if isinstance(error, (aiohttp.ClientResponseError, ValueError)):
        # A TLS port's reply to plain HTTP is no HTTP either.
        return NotTheService(f"{url} {what}: {error}", hint="is that the service's port, and http or https right?")
    return TargetUnreachable(f"{url} {what}: {error}")


async def _read_at_most(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Returns the body. Raises ValueError when it is longer than ``limit`` bytes."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise ValueError(f"an answer of more than {limit} bytes")
    return body


def _json(body: bytes) -> object:
    """Returns the decoded body; None when it is not JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

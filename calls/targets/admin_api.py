"""Calls the reference service over HTTP: its health check, and its admin API with a token.

Blocking, and safe from any thread or greenlet. Whatever answers instead of the service (nothing, garbage, a trickle of
bytes, silence) becomes one error sentence within a bounded time.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from typing import Any
from urllib.parse import urlsplit

from bedrock.environment_input import ADMIN_TOKEN
from bedrock.errors import TargetUnreachable
from calls.errors import TargetRefused, TlsFailed
from calls.targets.trust import client_context, why_untrusted

TOKEN_VARIABLE = ADMIN_TOKEN
"""Environment variable that holds the service's admin token."""
ADMIN = "/admin/"
"""Paths that need the token. No other request carries it, so a server at a wrong address never sees it."""
HEALTH_S = 5.0
ANSWER_S = 30.0
LARGEST_ANSWER_BYTES = 16_000_000


class AdminApi:
    """One service. Methods raise TargetRefused for an error status, TargetUnreachable for anything else."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._token = token

    def health(self) -> dict[str, Any]:
        """Returns the reply to ``GET /health``, within seconds."""
        return self.ask("GET", "/health", timeout_s=HEALTH_S)

    def seed(self, accounts: dict[str, list[Any]]) -> dict[str, Any]:
        """Creates accounts and follows. ``accounts`` is the body of ``POST /admin/seed``."""
        return self.ask("POST", "/admin/seed", accounts)

    def ask(self, method: str, path: str, body: object = None, *, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """Sends one request and returns its JSON object. ``timeout_s`` bounds the whole exchange.

        The token goes only to admin paths of this service: redirects are refused.
        """
        try:
            status, text = self._exchange(method, path, body, timeout_s)
        except (TimeoutError, _Late):
            raise TargetUnreachable(f"the target {self.url} does not answer within {timeout_s:g} s") from None
        except ssl.SSLCertVerificationError as error:
            sentence, hint = why_untrusted(self.url, error)
            raise TlsFailed(sentence, hint=hint) from None
        except ssl.SSLError as error:
            raise TargetUnreachable(f"the target {self.url} does not speak TLS with us: {error.reason}") from None
        except OSError as error:
            raise TargetUnreachable(f"the target {self.url} does not answer: {error}") from None
        except http.client.HTTPException:
            raise TargetUnreachable(f"{self.url} answers {path} with something that is not HTTP") from None
        if 300 <= status < 400:
            raise TargetRefused(
                f"{self.url} answers {method} {path} with a redirect (HTTP {status})",
                hint="use the address that it leads to; redirects are not followed, so that the admin token stays here",
            )
        if status >= 400:
            hint = f"does {TOKEN_VARIABLE} hold the service's admin token?" if status in (401, 403) else ""
            said = text[:300].decode(errors="replace").strip()
            raise TargetRefused(f"{self.url} answers {method} {path} with HTTP {status}: {said}", hint=hint)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise TargetUnreachable(f"{self.url} answers {path}, but is not the reference service")
        return answer

    def _exchange(self, method: str, path: str, body: object, timeout_s: float) -> tuple[int, bytes]:
        # http.client instead of urllib: a proxy in the environment must not stand between us and the service.
        connection = self._connection(timeout_s)
        late = threading.Event()

        def give_up() -> None:
            late.set()
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)

        # A socket's own timeout restarts with every byte, so a trickle could block us forever.
        timer = threading.Timer(timeout_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            data = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            if self._token and path.startswith(ADMIN):
                headers["Authorization"] = f"Bearer {self._token}"
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            status, text = response.status, response.read(LARGEST_ANSWER_BYTES)
        except (OSError, http.client.HTTPException):
            if late.is_set():
                raise _Late from None
            raise
        finally:
            timer.cancel()
            connection.close()
        if late.is_set():
            # Cut off by us, where the protocol takes the end of the stream for the end of the reply.
            raise _Late
        return status, text

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in ("http", "https") or not host:
            raise TargetUnreachable(f"'{self.url}' is no address of a service", hint="write it as http://host:port")
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=client_context())
        return http.client.HTTPConnection(host, port, timeout=timeout_s)


class _Late(Exception):
    """The exchange took longer than its limit, although bytes kept arriving."""

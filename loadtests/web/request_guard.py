"""Keeps foreign web pages off Locust's web UI, which has no password and trusts whoever reaches it.

Any page that somebody opens in their browser can send requests to addresses of their machine. Two things give it away:
the ``Origin`` that a browser adds to such a request, and, when the page's own name was made to point here (DNS
rebinding), the ``Host``. Both are looked at before Flask sees the request, for every path and method.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psutil

from bedrock.errors import InputError, Problem

HOST_OPTION = "--web-allowed-host"
HOST_VARIABLE = "RINGFENCE_WEB_ALLOWED_HOST"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY_INTERFACE = frozenset({"", "0.0.0.0", "::"})
DEFAULT_PORTS = {"http": 80, "https": 443}
READING = frozenset({"GET", "HEAD", "OPTIONS"})
NO_FRAMES = [("X-Frame-Options", "SAMEORIGIN"), ("Content-Security-Policy", "frame-ancestors 'self'")]
"""A foreign page may not show ours in a frame either, and have somebody click on what they do not see."""
FOREIGN = "403 Forbidden"

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class HostAddress:
    """A host and a port, as they stand in an address."""

    host: str
    port: int | None
    """None for the usual port of the scheme."""

    @classmethod
    def of(cls, written: str, scheme: str = "") -> HostAddress | None:
        """Reads ``host`` or ``host:port``; None for what is no such thing."""
        try:
            parts = urlsplit(f"//{written}")
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        if not host or parts.netloc != written or "@" in written:
            return None
        return cls(_plain(host), None if port == DEFAULT_PORTS.get(scheme) else port)


class AllowedHosts:
    """The names under which the web UI may be asked for."""

    def __init__(self, web_host: str, named: str = "") -> None:
        """``named`` is what the option holds: hosts, or host:port, with commas between. Raises InputError."""
        self._everywhere = web_host in EVERY_INTERFACE
        self._bound = _plain(web_host)
        self._named = tuple(_read(name) for name in (part.strip() for part in named.split(",")) if name)

    def has(self, address: HostAddress) -> bool:
        """Whether ``address`` names us. The port is not looked at: a tunnel or a container may have changed it."""
        host = address.host
        if host in LOOPBACK_NAMES or _is_loopback(host) or (not self._everywhere and host == self._bound):
            return True
        if any(host == one.host for one in self._named):
            return True
        return self._everywhere and host in _own_names()

    def is_named(self, address: HostAddress) -> bool:
        """Whether ``address`` was named by the option as the address that browsers see, port included."""
        return address in self._named


@dataclass(frozen=True, slots=True)
class RequestGuard:
    """A WSGI application before another: answers foreign requests itself, and lets no page read the other's answers."""

    application: Callable[[dict[str, Any], Any], Iterable[bytes]]
    hosts: AllowedHosts

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Passes a request on, or says why not."""
        refusal = why_refused(environ, self.hosts)
        if refusal:
            body = (refusal + "\n").encode()
            start_response(FOREIGN, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
            return [body]

        def start(status: str, headers: Headers, *rest: Any) -> Any:
            kept = [header for header in headers if not header[0].lower().startswith("access-control-")]
            return start_response(status, kept + NO_FRAMES, *rest)

        return self.application(environ, start)


def why_refused(environ: dict[str, Any], hosts: AllowedHosts) -> str:
    """Returns the sentence for a foreign request, empty for one of our own pages or of a program."""
    written, own_scheme = environ.get("HTTP_HOST", ""), environ.get("wsgi.url_scheme", "http")
    host = HostAddress.of(written, own_scheme)
    if host is None or not hosts.has(host):
        return (
            f"The host {written[:100]!a} is not this web UI's: open it by an address that it was started for, "
            f"or name the host with {HOST_OPTION} or {HOST_VARIABLE}."
        )
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not _is_ours(origin, own_scheme, host, hosts):
        return f"This request comes from a page of {origin[:100]!a}, which is not this web UI: it was refused."
    site = environ.get("HTTP_SEC_FETCH_SITE", "none")
    opens_a_page = environ.get("REQUEST_METHOD") in READING and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
    if origin is None and site not in ("none", "same-origin") and not opens_a_page:
        return "This request comes from a page that is not this web UI: it was refused."
    return ""


def _is_ours(origin: str, own_scheme: str, host: HostAddress, hosts: AllowedHosts) -> bool:
    scheme, separator, rest = origin.partition("://")
    address = HostAddress.of(rest, scheme) if separator and scheme in DEFAULT_PORTS else None
    # A proxy in front of us may have changed the scheme or the host: then the option names what browsers see.
    return address is not None and ((scheme == own_scheme and address == host) or hosts.is_named(address))


def _read(name: str) -> HostAddress:
    address = HostAddress.of(name)
    if address is None:
        raise InputError(
            [Problem(HOST_OPTION, "", f"must be hosts such as load.example.org or 10.0.0.1:8443 (got '{name}')")]
        )
    return address


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _own_names() -> set[str]:
    addresses = {one.address.partition("%")[0] for card in psutil.net_if_addrs().values() for one in card}
    return addresses | {_plain(socket.gethostname())}

"""Defines the settings of one service process, and the limits for every client."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

RESUME_GRACE_S = 5.0
"""How long a call waits for a lost side to come back with ``call.resume``."""

HEARTBEAT_S = 15.0
"""A socket that is silent this long is pinged; one that stays silent for half as long again is dropped."""

MAX_FRAME_BYTES = 128 * 1024
"""Largest WebSocket message; a longer one closes the socket with code 1009."""

MAX_SIGN_IN_BYTES = 4096

MAX_SDP_CHARS = 64 * 1024
MAX_TEXT_CHARS = 4000
MAX_SOCKETS_PER_USER = 16
MAX_WELCOME_CONTACTS = 200

RATE_PER_S = 100.0
"""Messages a second that one socket may send for long."""

RATE_BURST = 400.0
"""Messages that one socket may send at once."""


@dataclass(frozen=True)
class Settings:
    """The command line, checked."""

    host: str
    port: int
    database: Path
    link_range: ipaddress.IPv4Network
    no_answer_s: float
    degradation: bool
    answer_delay_ms: int
    lose_every_nth_answer: int
    admin_token: str
    """Empty when the environment names none: the admin API is then closed."""
    token_lifetime_s: float
    """After this a user must sign in again. An open socket stays open."""
    max_waiting: int
    """Most connections without a signed-in user."""
    silence_s: float
    """How long a connection may take for a request's headers, for its body, or for ``hello``."""
    exit_on_stdin_eof: bool
    web_root: Path


def binding_problem(host: str, link_range: ipaddress.IPv4Network) -> str | None:
    """Returns why the service must not listen on ``host``, or None when it may.

    It is a test target with an admin API: it listens on loopback and on the host ends of test links, nowhere else.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return f"--host must be an address, not {host!r}: give 127.0.0.1, or an address inside --link-range"
    if address.is_unspecified:
        return f"--host {host} would listen on every address of this machine; the reference service never does"
    if address.is_loopback or (address.version == 4 and address in link_range):
        return None
    return f"--host {host} is neither loopback nor inside the link range {link_range}"

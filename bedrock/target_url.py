"""Checks the URL of a calling service."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_WANTED = "must be an address like http://127.0.0.1:8086 or https://calls.example"


def url_problem(url: str) -> str:
    """Returns why ``url`` is not an address of a service; empty when it is."""
    if not re.fullmatch(r"https?://[!-~]+", url):
        return _WANTED
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:  # for a port over 65535, or an incomplete IPv6 address
        return f"{_WANTED}: {str(error)[0].lower()}{str(error)[1:]}"
    if not host or port == 0:
        return _WANTED
    return "must not hold a user name or a password" if parts.username or parts.password else ""

"""Reads our environment variables and checks them like any other user input."""

from __future__ import annotations

import os
import re

from bedrock.errors import InputError, Problem

ADMIN_TOKEN = "RINGFENCE_ADMIN_TOKEN"
COMPILED = "RINGFENCE_COMPILED"
LONGEST_SECRET = 1024
FILE = "environment"
"""Shown in a problem where the problem of a file has the file's name."""


def secret(name: str) -> str:
    """Returns a token from the environment; empty without one. Raises InputError for what no HTTP header can carry.

    The message never shows the value.
    """
    value = os.environ.get(name, "")
    if not re.fullmatch(rf"[!-~]{{0,{LONGEST_SECRET}}}", value):
        allowed = f"must be at most {LONGEST_SECRET} printable ASCII characters without spaces"
        raise InputError([Problem(FILE, name, f"{allowed} (got {len(value)} characters)")])
    return value


def switch(name: str, *, default: bool) -> bool:
    """Returns whether a variable is 1 or 0; ``default`` when it is empty or not set. Raises InputError."""
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise InputError([Problem(FILE, name, f"must be 0 or 1 (got {value[:40]!r})")])
    return value == "1" if value else default


def check_environment() -> None:
    """Raises InputError for any wrong variable of ours, before anything is started."""
    secret(ADMIN_TOKEN)
    switch(COMPILED, default=True)

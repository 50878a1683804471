"""Our environment variables, checked as anything else that a person writes."""

from __future__ import annotations

import os
import re

from bedrock.errors import InputError, Problem

ADMIN_TOKEN = "RINGFENCE_ADMIN_TOKEN"
COMPILED = "RINGFENCE_COMPILED"
LONGEST_SECRET = 1024
FILE = "environment"
"""Stands where a problem of a file has the file's name."""


def secret(name: str) -> str:
    """Returns a token from the environment, empty when there is none. Raises InputError for what no header can carry.

    The message never shows the value.
    """
    value = os.environ.get(name, "")
    if not re.fullmatch(rf"[!-~]{{0,{LONGEST_SECRET}}}", value):
        allowed = f"must be at most {LONGEST_SECRET} printable ASCII characters without spaces"
        raise InputError([Problem(FILE, name, f"{allowed} (got {len(value)} characters)")])
    return value


def switch(name: str, *, default: bool) -> bool:
    """Returns whether a variable says 1 or 0; ``default`` when it is empty or not there. Raises InputError."""
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise InputError([Problem(FILE, name, f"must be 0 or 1 (got {value[:40]!r})")])
    return value == "1" if value else default


def check_environment() -> None:
    """Raises InputError for any variable of ours that is wrong: before something is started, not when it is read."""
    secret(ADMIN_TOKEN)
    switch(COMPILED, default=True)

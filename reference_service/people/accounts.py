"""Hashes passwords, makes and reads session tokens: pure functions, no state."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable

SCRYPT_N = 256
"""RFC 7914's cost parameter, small on purpose: a test target seeds a thousand people in under a second."""

SCRYPT_R = 8

NOBODYS_PASSWORD = f"scrypt${SCRYPT_N}${SCRYPT_R}$AAAAAAAAAAAAAAAAAAAAAA==$AAAA"
"""Checked when the name is unknown, so that an unknown name takes as long as a wrong password."""


def hash_password(password: str) -> str:
    """Returns a salted scrypt hash that carries its own parameters."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, SCRYPT_N, SCRYPT_R)
    return f"scrypt${SCRYPT_N}${SCRYPT_R}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def check_password(password: str, hashed: str) -> bool:
    """Says whether ``password`` made ``hashed``."""
    _, n, r, salt, digest = hashed.split("$")
    return hmac.compare_digest(_scrypt(password, base64.b64decode(salt), int(n), int(r)), base64.b64decode(digest))


def _scrypt(password: str, salt: bytes, n: int, r: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=1, dklen=32)


def make_token(name: str, hashed: str, expires_at_s: float, key: bytes) -> str:
    """Returns a token that says ``name`` and until when, signed: it outlives a restart without a table of sessions.

    The signature covers ``hashed``, the hash of the password it was had for, so it ends with that password.
    """
    claim = f"{base64.urlsafe_b64encode(name.encode()).decode().rstrip('=')}.{int(expires_at_s)}"
    return f"{claim}.{_sign(claim, hashed, key)}"


def read_token(token: str, hash_of: Callable[[str], str | None], now_s: float, key: bytes) -> str | None:
    """Returns the name that ``token`` was made for; None when we did not make it, or it has expired.

    ``hash_of`` returns a person's password hash of this moment, None for nobody.
    """
    claim, _, signature = token.rpartition(".")
    subject, _, expires_at_s = claim.partition(".")
    try:
        name = base64.urlsafe_b64decode(subject + "=" * (-len(subject) % 4)).decode()
    except ValueError:
        name = ""
    hashed = hash_of(name)
    signed = _sign(claim, hashed if hashed is not None else NOBODYS_PASSWORD, key)
    if not hmac.compare_digest(signature.encode(), signed.encode()) or hashed is None:
        return None
    return name if now_s < int(expires_at_s) else None


def _sign(claim: str, hashed: str, key: bytes) -> str:
    return hmac.new(key, f"{claim}\n{hashed}".encode(), hashlib.sha256).hexdigest()

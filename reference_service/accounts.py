"""Passwords and session tokens: pure functions, no state."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

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


def make_token(name: str, key: bytes) -> str:
    """Returns a token that says ``name``, signed: it outlives a restart without a table of sessions."""
    subject = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    return f"{subject}.{_sign(subject, key)}"


def read_token(token: str, key: bytes) -> str | None:
    """Returns the name that ``token`` was made for, or None when we did not make it."""
    subject, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _sign(subject, key).encode()):
        return None
    return base64.urlsafe_b64decode(subject + "=" * (-len(subject) % 4)).decode()


def _sign(subject: str, key: bytes) -> str:
    return hmac.new(key, subject.encode(), hashlib.sha256).hexdigest()

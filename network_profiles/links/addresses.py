"""Which /30 of our range a link uses, so that two runs on one machine never collide.

A claim is a locked file: the kernel frees the lock however its owner dies, and what the file says then tells the
sweeper what that owner left.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedrock.errors import EnvironmentLacks
from bedrock.user_folder import make_ours, user_folder
from network_profiles.errors import LinkCannotBeBuilt

LINK_RANGE = "10.213.0.0/16"
CLAIMS_FOLDERS = (Path("/run/ringfence"),)
"""Where claims are kept: the first of these that we can have to ourselves, or else the user's own folder.

Only root makes links in the machine's own network, and so claims there. Anybody else is in a network namespace of his
own, where the same addresses are other addresses. Should two ever claim one in the same network all the same, the
kernel gives its device to the first of them and the second goes on to the next claim."""
_INDEXES = 2**14
_turn = itertools.count(os.getpid() * 61)
"""Each link gets addresses of its own for long, not those of the one before it: late packets and closed connections of
that one stay out of it."""
_FIRST = int(ipaddress.ip_network(LINK_RANGE).network_address)


def claims_folder() -> Path:
    """Returns the folder of the claims, made when it is missing. Raises LinkCannotBeBuilt when none can be written."""
    for folder in CLAIMS_FOLDERS:
        if make_ours(folder):
            return folder
    try:
        folder = user_folder() / "claims"
    except EnvironmentLacks as error:
        raise LinkCannotBeBuilt("no folder for the claims of addresses", hint=error.hint) from None
    if make_ours(folder):
        return folder
    raise LinkCannotBeBuilt(f"the folder for the claims of addresses, {folder}, is not ours alone", hint="remove it")


@dataclass(frozen=True, slots=True)
class Claim:
    """One /30, ours until ``release``."""

    index: int
    path: Path
    descriptor: int

    @property
    def device(self) -> str:
        """Name of the link's device in the host namespace."""
        return f"rf{self.index}"

    @property
    def host_address(self) -> str:
        return str(ipaddress.ip_address(_FIRST + 4 * self.index + 1))

    @property
    def device_address(self) -> str:
        return str(ipaddress.ip_address(_FIRST + 4 * self.index + 2))

    def note(self, facts: dict[str, Any]) -> None:
        """Writes down what a sweeper must know should we die."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(facts).encode(), 0)

    def release(self) -> None:
        """Gives the addresses back."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


def claim_free() -> Claim:
    """Returns the next free /30, another one at every call. Raises LinkCannotBeBuilt when all are taken."""
    folder = claims_folder()
    for _ in range(_INDEXES):
        index = next(_turn) % _INDEXES
        claim = _try_claim(folder / f"link-{index}.json", index)
        if claim is not None:
            return claim
    raise LinkCannotBeBuilt(f"every address of {LINK_RANGE} is in use", hint="end other runs on this machine")


def abandoned() -> Iterator[tuple[Claim, dict[str, Any]]]:
    """Yields each claim whose owner is dead, now ours, with what its owner noted. The caller releases it."""
    for path in sorted(claims_folder().glob("link-*.json")):
        claim = _try_claim(path, int(path.stem.removeprefix("link-")), create=False)
        if claim is not None:
            yield claim, _facts(path)


def live_notes() -> list[dict[str, Any]]:
    """Returns what every claim, live or not, has noted."""
    return [_facts(path) for path in claims_folder().glob("link-*.json")]


def _try_claim(path: Path, index: int, *, create: bool = True) -> Claim | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    except FileNotFoundError:
        return None
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The one who held it may have unlinked it between our open and our lock: then the lock is on nothing.
        if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
            return Claim(index, path, descriptor)
    os.close(descriptor)
    return None


def _facts(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(facts, dict):
            return facts
    return {}

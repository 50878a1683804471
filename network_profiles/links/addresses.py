"""Claims a /30 of our address range for each link, so that two runs on one machine never collide.

A claim is a locked file. The kernel frees the lock however its owner dies. The file's content then tells ``sweep``
what that owner left behind.
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
"""The folders for claims: the first one that only we can write is used, otherwise the user's own folder.

Only root opens links in the machine's own network, and claims in these folders. Any other user is in a network
namespace of his own, where equal addresses do not collide. If two processes still claim one address in the same
network, the kernel gives the device to the first, and the second tries the next claim."""
_INDEXES = 2**14
_next_index = itertools.count(os.getpid() * 61)
"""Each link gets other addresses than the links before it, so that their late packets and closed connections do not
reach it."""
_FIRST = int(ipaddress.ip_network(LINK_RANGE).network_address)


def claims_folder() -> Path:
    """Returns the folder of the claims and creates it if missing. Raises LinkCannotBeBuilt when none can be written."""
    for folder in CLAIMS_FOLDERS:
        if make_ours(folder):
            return folder
    try:
        folder = user_folder() / "claims"
    except EnvironmentLacks as error:
        raise LinkCannotBeBuilt("there is no folder for address claims", hint=error.hint) from None
    if make_ours(folder):
        return folder
    raise LinkCannotBeBuilt(f"other users can write the folder for address claims, {folder}", hint="remove it")


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim on one /30, held until ``release``."""

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
        """Writes down what ``sweep`` must know if this process dies."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(facts).encode(), 0)

    def release(self) -> None:
        """Frees the addresses."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


def claim_addresses() -> Claim:
    """Claims the next free /30, a different one at every call. Raises LinkCannotBeBuilt when all are taken."""
    folder = claims_folder()
    for _ in range(_INDEXES):
        index = next(_next_index) % _INDEXES
        claim = _try_claim(folder / f"link-{index}.json", index)
        if claim is not None:
            return claim
    raise LinkCannotBeBuilt(f"every address of {LINK_RANGE} is in use", hint="end other runs on this machine")


def abandoned_claims() -> Iterator[tuple[Claim, dict[str, Any]]]:
    """Takes over each claim whose owner is dead; yields it with its owner's note. The caller must release it."""
    for path in sorted(claims_folder().glob("link-*.json")):
        claim = _try_claim(path, int(path.stem.removeprefix("link-")), create=False)
        if claim is not None:
            yield claim, _facts(path)


def claim_notes() -> list[dict[str, Any]]:
    """Returns the note of every claim, whether its owner lives or not."""
    return [_facts(path) for path in claims_folder().glob("link-*.json")]


def _try_claim(path: Path, index: int, *, create: bool = True) -> Claim | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    except FileNotFoundError:
        return None
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The owner may have unlinked the file between our open and our lock: such a lock protects nothing.
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

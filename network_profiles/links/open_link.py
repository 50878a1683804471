"""Opens shaped links, and sweeps up what dead owners of links left behind."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import namespace_processes
from network_profiles.links.addresses import LINK_RANGE, Claim, abandoned_claims, claim_addresses, claim_notes
from network_profiles.links.backends import Backend, choose_backend
from network_profiles.links.counters import DirectionCounters, LinkCounters
from network_profiles.links.shaped_link import ShapedLink
from network_profiles.model.profile import NetworkProfile

__all__ = [
    "LINK_RANGE",
    "DirectionCounters",
    "LinkCounters",
    "ShapedLink",
    "missing_prerequisites",
    "open_link",
    "sweep",
]

DEVICE_GONE_S = 1.0
"""How long the kernel may take to remove a device after its last descriptor was closed."""


@contextlib.contextmanager
def open_link(
    profile: NetworkProfile, *, seed: int, name: str, backend: Backend | str | None = None
) -> Iterator[ShapedLink]:
    """Opens a link that follows ``profile``; at the end closes it and kills every process behind it.

    ``name`` shows in the process list. ``backend`` is a backend or its name; None takes the best that this machine can
    run. The profile's timeline starts when the link opens. The link ends with the calling *thread*, however that ends.
    Raises LinkCannotBeBuilt, and InputError for an unknown backend.
    """
    chosen = choose_backend(backend, profile) if backend is None or isinstance(backend, str) else backend
    claim, link = _open_on_free_addresses(chosen, profile, seed, name)
    try:
        claim.note({"owner": os.getpid(), "name": name, "daemon": link.pid, "namespace": link.namespace})
        yield link
    finally:
        link.close()
        claim.release()


def missing_prerequisites(backend: str | None = None) -> list[str]:
    """Returns one sentence for each thing that this machine lacks for links of ``backend``, or of any; else empty."""
    try:
        choose_backend(backend)
    except LinkCannotBeBuilt as error:
        return list(error.missing)
    return []


def sweep() -> list[str]:
    """Removes what dead owners of links left behind, and returns the name of each thing removed.

    A link's devices and daemon end with their owner. Two things can stay: a program in a namespace that has lost its
    link, and the claim on the link's addresses.
    """
    removed = []
    for claim, facts in abandoned_claims():
        namespace = facts.get("namespace")
        if isinstance(namespace, int) and sum(note.get("namespace") == namespace for note in claim_notes()) == 1:
            left = _processes_left_behind(namespace, facts.get("daemon"))
            namespace_processes.kill(left)
            removed += [f"process {pid} behind link '{facts.get('name', '')}'" for pid in left]
        claim.release()
        removed.append(f"claim on {claim.host_address}")
    return removed


def _processes_left_behind(namespace: int, daemon: int | None) -> list[int]:
    """Returns the processes behind a dead owner's link.

    If the daemon still lives, the namespace is proven to be ours. Otherwise it is ours only if it has lost its
    devices, which the kernel removes some time after the daemon's end.
    """
    deadline_s = time.monotonic() + DEVICE_GONE_S
    while True:
        behind = namespace_processes.processes_in_namespace(namespace)
        if daemon in behind:
            return behind
        ours = namespace_processes.without_link_device(behind)
        if len(ours) == len(behind) or time.monotonic() > deadline_s:
            return ours
        time.sleep(0.01)


def _open_on_free_addresses(
    backend: Backend, profile: NetworkProfile, seed: int, name: str
) -> tuple[Claim, ShapedLink]:
    """Opens a link on the first claim whose device name is free."""
    while True:
        claim = claim_addresses()
        try:
            link = backend.open(profile, claim, seed=seed, name=name)
            if link is not None:
                return claim, link
        except BaseException:
            claim.release()
            raise
        claim.release()

"""Links that a browser or any other program can be put behind: a namespace, and a process that is its only way out."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import namespace_processes
from network_profiles.links.addresses import LINK_RANGE, Claim, abandoned, claim_free, live_notes
from network_profiles.links.backends import Backend, choose_backend
from network_profiles.links.counters import DirectionCounters, LinkCounters
from network_profiles.links.shaped_link import ShapedLink
from network_profiles.model.profile import NetworkProfile

__all__ = ["LINK_RANGE", "DirectionCounters", "LinkCounters", "ShapedLink", "lacks", "open_link", "sweep"]

DEVICE_GONE_S = 1.0
"""What a kernel may take to remove a device whose last descriptor was closed."""


@contextlib.contextmanager
def open_link(
    profile: NetworkProfile, *, seed: int, name: str, backend: Backend | str | None = None
) -> Iterator[ShapedLink]:
    """Opens a link that behaves as ``profile`` says, and closes it with everything that still runs behind it.

    ``name`` shows in the process list. ``backend`` is one, or the name of one; None takes the best that this machine
    can run. A profile that changes with time begins to when the link opens. The link dies with the calling *thread*,
    however that ends. Raises LinkCannotBeBuilt, and InputError for a backend's name that is none.
    """
    chosen = choose_backend(backend, profile) if backend is None or isinstance(backend, str) else backend
    claim, link = _open_somewhere(chosen, profile, seed, name)
    try:
        claim.note({"owner": os.getpid(), "name": name, "shuttle": link.pid, "namespace": link.namespace})
        yield link
    finally:
        link.close()
        claim.release()


def lacks(backend: str | None = None) -> list[str]:
    """Returns what this machine lacks for links, a sentence each; empty when it can run ``backend``, or any."""
    try:
        choose_backend(backend)
    except LinkCannotBeBuilt as error:
        return list(error.missing)
    return []


def sweep() -> list[str]:
    """Ends what dead owners left behind their links, and returns a name each.

    A link's devices and daemon go with their owner by themselves. What can stay is a program that ran inside, in a
    namespace that has lost its link, and the claim on its addresses.
    """
    removed = []
    for claim, facts in abandoned():
        namespace = facts.get("namespace")
        if isinstance(namespace, int) and sum(note.get("namespace") == namespace for note in live_notes()) == 1:
            left = _left_behind(namespace, facts.get("shuttle"))
            namespace_processes.kill(left)
            removed += [f"process {pid} behind link '{facts.get('name', '')}'" for pid in left]
        claim.release()
        removed.append(f"claim on {claim.host_address}")
    return removed


def _left_behind(namespace: int, daemon: int | None) -> list[int]:
    """Returns the processes of a dead owner's link.

    A daemon that has not died yet proves the namespace. Without it, only one that has lost its devices is ours, and
    the kernel takes them away some moments after the daemon's end.
    """
    deadline_s = time.monotonic() + DEVICE_GONE_S
    while True:
        behind = namespace_processes.inhabitants(namespace)
        if daemon in behind:
            return behind
        ours = namespace_processes.cut_off(behind)
        if len(ours) == len(behind) or time.monotonic() > deadline_s:
            return ours
        time.sleep(0.01)


def _open_somewhere(backend: Backend, profile: NetworkProfile, seed: int, name: str) -> tuple[Claim, ShapedLink]:
    """Opens a link on the first addresses whose device name nobody else uses."""
    while True:
        claim = claim_free()
        try:
            link = backend.open(profile, claim, seed=seed, name=name)
            if link is not None:
                return claim, link
        except BaseException:
            claim.release()
            raise
        claim.release()

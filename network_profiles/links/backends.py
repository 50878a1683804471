"""What can carry a link's packets, and which of these this machine is given.

``netem`` (queues in the kernel) comes first where the kernel has it: it costs no process time a packet. ``userspace``
runs on any kernel with TUN devices. Whoever opens a link is told which one it got (``ShapedLink.backend``).
"""

from __future__ import annotations

from typing import Protocol

from bedrock.errors import InputError
from bedrock.toml_input import unknown_name
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links.addresses import Claim
from network_profiles.links.shaped_link import BackendName, ShapedLink
from network_profiles.model.profile import NetworkProfile

BACKEND_NAMES: tuple[BackendName, ...] = ("netem", "userspace")
"""In the order of preference."""


class Backend(Protocol):
    """One way to build links."""

    @property
    def name(self) -> BackendName: ...

    def lacks(self) -> list[str]:
        """Returns what this machine lacks for it, a sentence each with its fix; empty when nothing."""

    def is_exact_for(self, profile: NetworkProfile) -> bool:
        """Whether its links of that profile are the link model's, rather than an approximation."""

    def open(self, profile: NetworkProfile, claim: Claim, *, seed: int, name: str) -> ShapedLink | None:
        """Returns a link on the addresses of ``claim``; None when its device's name is taken.

        The link dies with the calling thread. Raises LinkCannotBeBuilt, LinkLost.
        """


def backend(name: BackendName) -> Backend:
    """Returns the backend of that name, whether this machine can run it or not."""
    if name == "netem":
        from network_profiles.links.netem.backend import NetemBackend

        return NetemBackend()
    from network_profiles.links.userspace.backend import UserspaceBackend

    return UserspaceBackend()


def choose_backend(forced: str | None = None, profile: NetworkProfile | None = None) -> Backend:
    """Returns the backend named, or the first that this machine can run; one exact for ``profile`` before others.

    Raises InputError for a name that is none, LinkCannotBeBuilt with what is missing.
    """
    if forced is not None:
        for name in BACKEND_NAMES:
            if name == forced:
                return _require(backend(name))
        raise InputError([unknown_name("command line", "--backend", "backend", forced, BACKEND_NAMES)])
    usable = [one for one in map(backend, BACKEND_NAMES) if not one.lacks()]
    exact = [one for one in usable if profile is None or one.is_exact_for(profile)]
    return next(iter([*exact, *usable]), None) or _require(backend("userspace"))


def _require(wanted: Backend) -> Backend:
    missing = wanted.lacks()
    if missing:
        sentence = f"a {wanted.name} link cannot be built here: {'; '.join(missing)}"
        raise LinkCannotBeBuilt(sentence, hint="see 'ringfence doctor'", missing=missing)
    return wanted

"""Chooses the backend that carries a link's packets on this machine.

``netem`` (queues in the kernel) is preferred where the kernel has it, because it needs no process time per packet.
``userspace`` runs on any kernel with TUN devices. ``ShapedLink.backend`` names the one that a link got.
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
    """Builds links in one way."""

    @property
    def name(self) -> BackendName: ...

    def missing_prerequisites(self) -> list[str]:
        """Returns one sentence, with its fix, for each thing that this machine lacks for it; empty when none."""

    def is_exact_for(self, profile: NetworkProfile) -> bool:
        """Whether its links of that profile follow the link model exactly, not approximately."""

    def open(self, profile: NetworkProfile, claim: Claim, *, seed: int, name: str) -> ShapedLink | None:
        """Opens a link on the addresses of ``claim``; returns None when its device's name is taken.

        The link ends with the calling thread. Raises LinkCannotBeBuilt, LinkLost.
        """


def backend(name: BackendName) -> Backend:
    """Returns the backend of that name, even if this machine cannot run it."""
    if name == "netem":
        from network_profiles.links.netem.backend import NetemBackend

        return NetemBackend()
    from network_profiles.links.userspace.backend import UserspaceBackend

    return UserspaceBackend()


def choose_backend(forced: str | None = None, profile: NetworkProfile | None = None) -> Backend:
    """Returns the backend named ``forced``, or else the best that this machine can run.

    A backend that is exact for ``profile`` comes before others. Raises InputError for an unknown name,
    LinkCannotBeBuilt with what is missing.
    """
    if forced is not None:
        for name in BACKEND_NAMES:
            if name == forced:
                return _require(backend(name))
        raise InputError([unknown_name("command line", "--backend", "backend", forced, BACKEND_NAMES)])
    usable = [one for one in map(backend, BACKEND_NAMES) if not one.missing_prerequisites()]
    exact = [one for one in usable if profile is None or one.is_exact_for(profile)]
    return next(iter([*exact, *usable]), None) or _require(backend("userspace"))


def _require(wanted: Backend) -> Backend:
    missing = wanted.missing_prerequisites()
    if missing:
        sentence = f"a {wanted.name} link cannot be built here: {'; '.join(missing)}"
        raise LinkCannotBeBuilt(sentence, hint="see 'ringfence doctor'", missing=missing)
    return wanted

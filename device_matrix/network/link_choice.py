"""Chooses the backend of a run's links, or the browser's own emulation where no link can be built."""

from __future__ import annotations

import os

from bedrock.errors import EnvironmentLacks
from device_matrix.cpu import cpu_limit
from device_matrix.network.emulated_link import CDP_BACKEND
from network_profiles import choose_backend
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import rootless


def chosen_backend(asked: str | None) -> str:
    """Returns the backend of a run's links; ``cdp`` when it was asked for, or when this user can have no link.

    Raises LinkCannotBeBuilt when a backend was asked for by name and cannot be built. Raises it for root, too, who can
    install what is missing; root inside a user namespace cannot.
    """
    if asked == CDP_BACKEND:
        return CDP_BACKEND
    try:
        return choose_backend(asked).name
    except LinkCannotBeBuilt:
        if asked is not None or (os.geteuid() == 0 and not rootless.in_user_namespace()):
            raise
        return CDP_BACKEND


def backend_of_cells(asked: str | None) -> str | None:
    """Returns the backend that every cell asks for; None leaves the choice to each cell's profile.

    Raises as ``chosen_backend`` does.
    """
    return CDP_BACKEND if chosen_backend(asked) == CDP_BACKEND else asked


def missing_prerequisites(asked: str | None) -> list[str]:
    """Returns what this machine lacks for cells over the backend ``asked``, a sentence each."""
    try:
        backend = chosen_backend(asked)
    except EnvironmentLacks as error:
        return [error.message]
    # Root needs control groups. Where nobody can have them, devices run without a CPU limit and the run says so.
    return [] if backend == CDP_BACKEND or rootless.in_user_namespace() else cpu_limit.missing_prerequisites()


def warnings(asked: str | None) -> list[str]:
    """Returns the warnings of a run without root: what its links and devices lack, a sentence each."""
    unlimited = "no control groups without root: every device can use all of this machine's CPU"
    unlimited = unlimited if cpu_limit.missing_prerequisites() else ""
    if chosen_backend(asked) == CDP_BACKEND:
        return [_emulation_warning(asked), *filter(None, [unlimited])]
    if not rootless.in_user_namespace():
        return []
    in_namespace = "no root: service, far ends, links and browsers run in their own user namespace"
    return [in_namespace, *filter(None, [unlimited])]


def _emulation_warning(asked: str | None) -> str:
    return (
        f"no shaped links ({_why_no_link() if asked is None else 'asked for'}): the browser emulates the networks "
        "(backend=cdp), without jitter, bursts of loss, outages and a queue towards the device"
    )


def _why_no_link() -> str:
    refused = rootless.missing_prerequisites()
    if os.geteuid() == 0:
        try:
            choose_backend(None)
        except LinkCannotBeBuilt as error:
            return "; ".join(error.missing) or error.message
    # A user who could have links in a namespace but is outside of it was given a service outside.
    return "; ".join(["not root", *(refused or ["a service that runs outside cannot be called from a user namespace"])])

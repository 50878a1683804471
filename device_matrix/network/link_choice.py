"""What carries the packets of a run's cells: a link, or the browser's own emulation where no link can be built."""

from __future__ import annotations

import os

from bedrock.errors import EnvironmentLacks
from device_matrix.cpu import cpu_limit
from device_matrix.network.emulated_link import BACKEND
from network_profiles import choose_backend
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import rootless


def chosen_backend(asked: str | None) -> str:
    """Returns the backend of a run's links, or ``cdp``: where that was asked for, and for a user who can have no other.

    Raises LinkCannotBeBuilt when a link was asked for by name and cannot be built, and for root, who can mend that (a
    user namespace's cannot).
    """
    if asked == BACKEND:
        return BACKEND
    try:
        return choose_backend(asked).name
    except LinkCannotBeBuilt:
        if asked is not None or (os.geteuid() == 0 and not rootless.in_user_namespace()):
            raise
        return BACKEND


def backend_of_cells(asked: str | None) -> str | None:
    """Returns what a cell names when it opens its link: None leaves the choice to each cell's profile.

    Raises as ``chosen_backend`` does.
    """
    return BACKEND if chosen_backend(asked) == BACKEND else asked


def lacks(asked: str | None) -> list[str]:
    """Returns what this machine lacks for cells over ``asked``, a sentence each."""
    try:
        backend = chosen_backend(asked)
    except EnvironmentLacks as error:
        return [error.message]
    # Root can have control groups and is to have them; where nobody can, the device has all of the CPU and says so.
    return [] if backend == BACKEND or rootless.in_user_namespace() else cpu_limit.lacks()


def warnings(asked: str | None) -> list[str]:
    """Returns what has to be said of a run whose links, or whose devices, are not what root would have had."""
    unlimited = "no control groups without root: every device has all of this machine's CPU"
    unlimited = unlimited if cpu_limit.lacks() else ""
    if chosen_backend(asked) == BACKEND:
        return [_emulated(asked), *filter(None, [unlimited])]
    if not rootless.in_user_namespace():
        return []
    our_exit_code = "no root: service, far ends, links and browsers are in a user namespace of their own"
    return [our_exit_code, *filter(None, [unlimited])]


def _emulated(asked: str | None) -> str:
    return (
        f"no shaped links ({_why_none() if asked is None else 'asked for'}): the browser's own network emulation "
        "(backend=cdp) stands in; it has no jitter, no bursts of loss, no outages and no queue towards the device"
    )


def _why_none() -> str:
    refused = rootless.missing_prerequisites()
    if os.geteuid() == 0:
        try:
            choose_backend(None)
        except LinkCannotBeBuilt as error:
            return "; ".join(error.missing) or error.message
    # Who could have links in a namespace and is not there was told to call a service that is outside.
    return "; ".join(["not root", *(refused or ["a service that runs outside cannot be called from a user namespace"])])

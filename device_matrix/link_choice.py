"""What carries the packets of a run's cells: a link, or the browser's own emulation where no link can be built."""

from __future__ import annotations

import os

from bedrock.errors import EnvironmentLacks
from device_matrix import cpu_limit
from device_matrix.browser_path import BACKEND
from network_profiles import choose_backend
from network_profiles.errors import LinkCannotBeBuilt


def chosen_backend(asked: str | None) -> str:
    """Returns the backend of a run's links, or ``cdp``: where that was asked for, and for a user who can have no other.

    Raises LinkCannotBeBuilt when a link was asked for by name and cannot be built, and for root, who can mend that.
    """
    if asked == BACKEND:
        return BACKEND
    try:
        return choose_backend(asked).name
    except LinkCannotBeBuilt:
        if asked is not None or os.geteuid() == 0:
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
    return [] if backend == BACKEND else cpu_limit.lacks()


def warning(asked: str | None) -> str:
    """Returns what has to be said of a run whose links are none; empty where they are."""
    if chosen_backend(asked) != BACKEND:
        return ""
    why = "asked for"
    if asked is None:
        try:
            choose_backend(None)
        except LinkCannotBeBuilt as error:
            why = "; ".join(error.missing) or error.message
    unlimited = ", and the browser has all of the CPU" if cpu_limit.lacks() else ""
    return (
        f"no shaped links ({why}): the browser's own network emulation (backend=cdp) stands in; it has no jitter, no "
        f"bursts of loss, no outages and no queue towards the device{unlimited}"
    )

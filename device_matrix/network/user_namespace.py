"""Decides whether the matrix moves into a user namespace: there a user without root may build links.

The whole command moves: service, far ends, Appium and browsers. A service that already runs outside cannot be called
from there. Control groups stay with root, so browsers have no CPU limit and links have no real-time priority.
"""

from __future__ import annotations

import os

from device_matrix.network.emulated_link import CDP_BACKEND
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import rootless


def missing_prerequisites(target_url: str) -> list[str]:
    """Returns why a user without root can have no links for a service at ``target_url``, a sentence each.

    ``target_url`` is empty for a service that the run starts.
    """
    if target_url:
        return [f"the service at {target_url} cannot be reached from a user namespace"]
    return rootless.missing_prerequisites()


def needs_user_namespace(asked: str | None, target_url: str) -> bool:
    """Says whether the command has to move into a user namespace to build the links of the backend ``asked``.

    False for root, for the browser's own emulation, and where a user namespace would not help. Raises
    LinkCannotBeBuilt when a backend was asked for by name and a user namespace would not help.
    """
    if os.geteuid() == 0 or asked == CDP_BACKEND:
        return False
    missing = missing_prerequisites(target_url)
    if missing and asked is not None:
        sentence = f"without root, a {asked} link cannot be built here: {'; '.join(missing)}"
        raise LinkCannotBeBuilt(sentence, hint="run it with sudo", missing=missing)
    return not missing

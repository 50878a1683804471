"""The matrix without root: the whole command moves into a user namespace of its own, where its user may have links.

Service, far ends, Appium and browsers move along, so a service that already runs outside cannot be called from there.
What is lost is the control groups, which stay root's: browsers have all of the CPU, and links no real-time rank.
"""

from __future__ import annotations

import os

from device_matrix.network.emulated_link import BACKEND
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import rootless


def lacks(target_url: str) -> list[str]:
    """Returns what keeps a user who is not root from having links for a service at ``target_url``, a sentence each.

    ``target_url`` is empty for a service of our own.
    """
    if target_url:
        return [f"the service at {target_url} cannot be reached from a user namespace"]
    return rootless.missing_prerequisites()


def needs_user_namespace(asked: str | None, target_url: str) -> bool:
    """Whether the links of ``asked`` are to be had by going there, and not here.

    They are not when there is no need (root), no wish (the browser's own emulation was asked for) or no way. Raises
    LinkCannotBeBuilt when a link was asked for by name and there is no way.
    """
    if os.geteuid() == 0 or asked == BACKEND:
        return False
    missing = lacks(target_url)
    if missing and asked is not None:
        sentence = f"without root, a {asked} link cannot be built here: {'; '.join(missing)}"
        raise LinkCannotBeBuilt(sentence, hint="run it with sudo", missing=missing)
    return not missing

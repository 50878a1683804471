"""Removes what killed processes left on the machine. Everything else ends with its owner: see ``links.open_link``."""

from __future__ import annotations

import device_matrix.cpu.cpu_limit
import network_profiles.links.open_link
from bedrock.scratch import sweep_scratch


def sweep() -> list[str]:
    """Removes links, address claims, control groups and scratch folders of dead owners. Returns a name each."""
    return [*network_profiles.links.open_link.sweep(), *device_matrix.cpu.cpu_limit.sweep(), *sweep_scratch()]

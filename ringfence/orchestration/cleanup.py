"""Removes what a killed run left. Everything else dies with its owner: see ``links.opening`` and bedrock."""

from __future__ import annotations

import device_matrix.cpu.cpu_limit
import network_profiles.links.opening
from bedrock.scratch import sweep_scratch


def remove_leftovers() -> list[str]:
    """Removes links, address claims, cgroups and scratch folders whose owner is dead. Returns a name each."""
    return [*network_profiles.links.opening.sweep(), *device_matrix.cpu.cpu_limit.sweep(), *sweep_scratch()]

"""Removes what a killed run left. Everything else dies with its owner: see network_profiles.lab and bedrock."""

from __future__ import annotations

import device_matrix.cpu_limit
import device_matrix.scene
import network_profiles.lab


def sweep_leftovers() -> list[str]:
    """Removes links, address claims, cgroups and browser profiles whose owner is dead. Returns a name each."""
    return [*network_profiles.lab.sweep(), *device_matrix.cpu_limit.sweep(), *device_matrix.scene.sweep_scratch()]

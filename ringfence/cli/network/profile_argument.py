"""The profile that a command was given."""

from __future__ import annotations

from bedrock.errors import InputError
from bedrock.toml_input import unknown_name
from network_profiles import NetworkProfile, load_catalogue


def named_profile(name: str) -> NetworkProfile:
    """Returns the profile of that id. Raises InputError naming the nearest known one."""
    catalogue = load_catalogue()
    if name not in catalogue:
        raise InputError([unknown_name("network", "profile", "network profile", name, catalogue)])
    return catalogue[name]

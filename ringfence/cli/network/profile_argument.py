"""Finds the profile that a command was given."""

from __future__ import annotations

from network_profiles import NetworkProfile, resolve


def named_profile(name: str) -> NetworkProfile:
    """Returns the profile of that id or path. Raises InputError with its problems, or with the nearest known id."""
    return resolve([name], file="network")[0]

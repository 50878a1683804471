"""The profiles that come with the product: one TOML file each, named by its id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from bedrock.errors import InputError, Problem
from bedrock.toml_input import check, read_toml, unknown_name
from network_profiles.profile import NetworkProfile

PROFILES_FOLDER = Path(__file__).parent / "profiles"
_ORDER = ("2g", "3g", "4g", "5g", "wifi", "satellite")


def read_profile(path: Path) -> NetworkProfile:
    """Returns the profile written in ``path``. Raises InputError with every problem of the file."""
    return check(NetworkProfile, read_toml(path), str(path))


def read_folder(folder: Path) -> Mapping[str, NetworkProfile]:
    """Returns every profile of ``folder`` by id, slowest generation first.

    Raises InputError with the problems of all the files together; a file's name must be its profile's id.
    """
    profiles: list[NetworkProfile] = []
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            profile = read_profile(path)
        except InputError as error:
            problems += error.problems
            continue
        if profile.id != path.stem:
            problems.append(Problem(str(path), "id", f"must be the file's name, '{path.stem}' (got '{profile.id}')"))
        profiles.append(profile)
    if problems:
        raise InputError(problems)
    profiles.sort(key=lambda one: (_ORDER.index(one.generation), one.down.rate_kbit or float("inf"), one.id))
    return MappingProxyType({profile.id: profile for profile in profiles})


@cache
def load_catalogue() -> Mapping[str, NetworkProfile]:
    """Returns the built-in profiles by id. Raises InputError when one of them is wrong."""
    return read_folder(PROFILES_FOLDER)


def resolve(ids: Iterable[str], *, file: str = "command line", key: str = "profile") -> list[NetworkProfile]:
    """Returns the named profiles in order. Raises InputError naming every unknown id and the nearest known one."""
    catalogue = load_catalogue()
    wanted = list(ids)
    problems = [unknown_name(file, key, "network profile", name, catalogue) for name in wanted if name not in catalogue]
    if problems:
        raise InputError(problems)
    return [catalogue[name] for name in wanted]

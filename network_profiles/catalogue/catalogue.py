"""Loads network profiles: built-in ones by id (one TOML file each), a user's own ones by path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from bedrock.errors import InputError, Problem
from bedrock.toml_input import check, read_toml, unknown_name
from network_profiles.model.profile import Direction, NetworkProfile, Trace
from network_profiles.model.quantity import MAX_RATE_KBIT
from network_profiles.model.traces.mahimahi import TraceUnreadable, read_trace

PROFILES_FOLDER = Path(__file__).parent.parent / "profiles"
_ORDER = ("2g", "3g", "4g", "5g", "wifi", "satellite")


class Catalogue(Mapping[str, NetworkProfile]):
    """Profiles by id, or by path: ``catalogue["nets/mine.toml"]`` reads a user's own profile.

    A profile that was read by its path is known by its id afterwards. A path raises InputError with every problem of
    the file, and when another profile has the same id.
    """

    def __init__(self, profiles: Iterable[NetworkProfile]) -> None:
        self._profiles = {profile.id: profile for profile in sorted(profiles, key=_sort_key)}
        self._by_path: dict[str, NetworkProfile] = {}

    def __getitem__(self, name: str) -> NetworkProfile:
        found = self._profiles.get(name) or self._by_path.get(name)
        if found is not None:
            return found
        if not is_path(name):
            raise KeyError(name)
        path = Path(name)
        profile = read_profile(path)
        if self._profiles.setdefault(profile.id, profile) != profile:
            raise InputError([Problem(name, "id", f"must be one that no other profile has (got '{profile.id}')")])
        self._by_path[name] = profile
        return profile

    def name_for_others(self, profile_id: str) -> str:
        """Returns the name by which another process finds that profile: its id, or the absolute path of its file."""
        paths = (path for path, profile in self._by_path.items() if profile.id == profile_id)
        return next((str(Path(path).resolve()) for path in paths), profile_id)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._profiles))

    def __len__(self) -> int:
        return len(self._profiles)


def is_path(name: str) -> bool:
    """Whether a profile's name is a path and not an id."""
    return name.endswith(".toml") or "/" in name


def read_profile(path: Path) -> NetworkProfile:
    """Returns the profile in ``path`` and reads its traces. Raises InputError with every problem of the file."""
    profile = check(NetworkProfile, read_toml(path), str(path))
    problems: list[Problem] = []
    sides = {
        side: _with_its_trace(direction, path, side, problems)
        for side, direction in (("down", profile.down), ("up", profile.up))
    }
    if problems:
        raise InputError(problems)
    return profile.model_copy(update=sides)


def read_folder(folder: Path) -> Catalogue:
    """Returns every profile of ``folder`` by id, slowest generation first.

    A file's name must be its profile's id. Raises InputError with the problems of all files together.
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
    return Catalogue(profiles)


@cache
def load_catalogue() -> Catalogue:
    """Returns the built-in profiles by id. Raises InputError when one of them is wrong."""
    return read_folder(PROFILES_FOLDER)


def profile_name_problems(name: str, file: str, key: str, *, what: str = "network profile") -> list[Problem]:
    """Returns what is wrong with ``name``, an id or a path at ``key`` of ``file``; empty when nothing is."""
    try:
        if name in load_catalogue():
            return []
    except InputError as error:
        return list(error.problems)
    return [unknown_name(file, key, what, name, load_catalogue())]


def resolve(names: Iterable[str], *, file: str = "command line", key: str = "profile") -> list[NetworkProfile]:
    """Returns the profiles of these ids and paths, in order.

    Raises InputError with every problem of the files, and with the nearest known id for every unknown id.
    """
    wanted = list(names)
    problems = [problem for name in wanted for problem in profile_name_problems(name, file, key)]
    if problems:
        raise InputError(problems)
    return [load_catalogue()[name] for name in wanted]


def _sort_key(profile: NetworkProfile) -> tuple[int, float, str]:
    return (_ORDER.index(profile.generation), profile.down.rate_kbit or float("inf"), profile.id)


def _with_its_trace(direction: Direction, path: Path, side: str, problems: list[Problem]) -> Direction:
    """Returns the direction with its trace's absolute path and mean rate; appends to ``problems``."""
    if direction.trace is None or direction.trace.file is None:
        return direction
    if direction.rate_kbit is not None:
        message = f"must be absent: the trace has the rate (got {direction.rate_kbit:g})"
        problems.append(Problem(str(path), f"{side}.rate_kbit", message))
        return direction
    file = path.parent.resolve() / direction.trace.file
    key = f"{side}.trace.file"
    try:
        mean_kbit = read_trace(file).mean_kbit
    except TraceUnreadable as error:
        problems.append(Problem(str(path), key, f"{direction.trace.file}: {error}"))
        return direction
    if not 1.0 <= mean_kbit <= MAX_RATE_KBIT:
        message = f"{direction.trace.file}: must have a mean from 1 to {MAX_RATE_KBIT:g} kbit/s (got {mean_kbit:.3g})"
        problems.append(Problem(str(path), key, message))
        return direction
    return direction.model_copy(update={"rate_kbit": mean_kbit, "trace": Trace(file=str(file))})

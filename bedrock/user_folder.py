"""Finds or makes a temporary folder that only this user may enter.

It is ``ringfence-UID`` in TMPDIR or /tmp: mode 0700, owned by us, not a symbolic link. If somebody else has that name,
the next free name is used, and every later process of the same user finds it again.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from bedrock.errors import EnvironmentLacks

LONGEST_SOCKET_PATH_BYTES = 107
"""Of an AF_UNIX socket (sun_path, without its final NUL)."""
_LONGEST_INSIDE_BYTES = len("/s-abcdefgh/.org.chromium.Chromium.abcdef/SingletonSocket")
"""The longest socket path inside the folder: the one of a browser."""
_UID_MAP = Path("/proc/self/uid_map")


def user_folder() -> Path:
    """Returns our folder; makes it when it is missing. Raises EnvironmentLacks when no place is usable."""
    reasons = []
    for place in _places():
        reason = place_problem(place)
        if not reason:
            try:
                return _ours_in(place)
            except OSError as error:
                reason = error.strerror or str(error)
        reasons.append(f"{place}: {reason}")
    raise EnvironmentLacks(
        "there is no place for temporary files",
        hint=f"set TMPDIR to a short path that allows programs to run; {'; '.join(reasons)}",
    )


def tmpdir_problem() -> str:
    """Returns why the caller's TMPDIR is not usable for our folder; empty when it is, or when it is not set."""
    asked = os.environ.get("TMPDIR", "")
    return place_problem(Path(asked)) if asked else ""


def place_problem(place: Path) -> str:
    """Returns what is wrong with ``place``; empty for nothing."""
    if not place.is_absolute() or not place.is_dir():
        return "it is not a folder with an absolute path"
    if not os.access(place, os.W_OK | os.X_OK):
        return "it may not be written"
    if place.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
        return "everybody may write it and it is not sticky, so anybody could replace our folder"
    if os.statvfs(place).f_flag & os.ST_NOEXEC:
        return "its file system is mounted noexec, and browsers are started by a script in there"
    longest = longest_place_bytes()
    if len(os.fsencode(place)) > longest:
        return f"its path has {len(os.fsencode(place))} bytes (allowed {longest}: the path of a socket is limited)"
    return ""


def longest_place_bytes() -> int:
    """Returns the longest usable path of a place, given the limit on socket paths."""
    return LONGEST_SOCKET_PATH_BYTES - _LONGEST_INSIDE_BYTES - len(f"/{_name()}-abcdefgh")


def is_ours(folder: Path) -> bool:
    """Returns whether ``folder`` is a real folder that only we may enter."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def make_ours(folder: Path) -> bool:
    """Makes ``folder`` with mode 0700 unless it exists; returns whether it is ours. Never follows a symbolic link."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    return is_ours(folder)


def user_id() -> int:
    """Returns our user id as the machine knows it, also from inside a user namespace in which we are root."""
    inside = os.geteuid()
    with contextlib.suppress(OSError, ValueError):
        for line in _UID_MAP.read_text(encoding="utf-8").splitlines():
            first_inside, first_outside, count = (int(word) for word in line.split())
            if first_inside <= inside < first_inside + count:
                return first_outside + inside - first_inside
    return inside


def _places() -> list[Path]:
    asked = os.environ.get("TMPDIR", "")
    return [Path(place) for place in dict.fromkeys((asked, "/tmp", "/var/tmp", "/dev/shm")) if place]


def _name() -> str:
    return f"ringfence-{user_id()}"


def _ours_in(place: Path) -> Path:
    plain = place / _name()
    if make_ours(plain):
        return plain
    # Somebody else has that name, or left a link there.
    for folder in sorted(place.glob(f"{_name()}-*")):
        if is_ours(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix=f"{_name()}-", dir=place))

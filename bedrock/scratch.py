"""Folders that live no longer than the process that made them, and the sweeper of what a killed one left.

Each holds a locked file. The kernel frees the lock however its owner dies, so the sweeper takes what nobody holds and
never what a living process uses, in whatever process namespace that runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bedrock.errors import EnvironmentLacks
from bedrock.user_folder import user_folder

PREFIX = "s-"
_LOCK, _KEPT = ".owner", ".keep"
_UNLOCKED_S = 60.0
"""A folder without its lock file is one that is being made just now; after so long, its maker died in between."""


class ScratchFolder:
    """One folder, ours until ``remove`` or our end."""

    def __init__(self) -> None:
        """Raises EnvironmentLacks when no folder can be made."""
        try:
            self.path, self._lock = _locked_folder()
        except OSError as error:
            raise EnvironmentLacks(f"no temporary folder can be made: {error}", hint="is the disk full?") from None

    def remove(self) -> None:
        """Removes the folder with all that is in it. Safe to call twice."""
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(lock)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what is inside the block, gone afterwards."""
    folder = ScratchFolder()
    try:
        yield folder.path
    finally:
        folder.remove()


def keep(folder: Path) -> None:
    """Has a scratch folder outlive us, for a person who was told where it is. Does nothing to any other folder."""
    if (folder / _LOCK).exists():
        (folder / _KEPT).touch()


def sweep_scratch() -> list[str]:
    """Removes the folders of owners that are gone. Returns their names."""
    return sorted(folder.name for folder in user_folder().glob(f"{PREFIX}*") if _remove_if_abandoned(folder))


def _locked_folder() -> tuple[Path, int]:
    root = user_folder()
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # swept in this very moment
            continue
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (path / _LOCK).stat().st_ino == os.fstat(lock).st_ino:
                return path, lock
        os.close(lock)


def _remove_if_abandoned(folder: Path) -> bool:
    if (folder / _KEPT).exists():
        return False
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _age_s(folder) > _UNLOCKED_S and _remove(folder)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _remove(folder)
    except OSError:
        return False
    finally:
        os.close(lock)


def _age_s(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return time.time() - folder.lstat().st_mtime
    return 0.0


def _remove(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()

"""Makes temporary folders that do not outlive their process, and removes those that a killed process left.

Each folder holds a locked file. The kernel releases the lock however its owner dies. So the sweep removes only unlocked
folders, whatever process namespace their owner ran in.
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
"""A folder without its lock file is just being made. After this time its maker died in between."""


class ScratchFolder:
    """One folder, kept until ``remove`` or the end of this process."""

    def __init__(self) -> None:
        """Raises EnvironmentLacks when no folder can be made."""
        try:
            self.path, self._lock = _locked_folder()
        except OSError as error:
            raise EnvironmentLacks(f"no temporary folder can be made: {error}", hint="is the disk full?") from None

    def remove(self) -> None:
        """Removes the folder with its content. Safe to call twice."""
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(lock)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yields a folder that is removed after the block."""
    folder = ScratchFolder()
    try:
        yield folder.path
    finally:
        folder.remove()


def keep(folder: Path) -> None:
    """Keeps a scratch folder beyond our end, because a user was told where it is. Ignores any other folder."""
    if (folder / _LOCK).exists():
        (folder / _KEPT).touch()


def sweep_scratch() -> list[str]:
    """Removes the folders whose owners are gone. Returns their names."""
    return sorted(folder.name for folder in user_folder().glob(f"{PREFIX}*") if _remove_if_abandoned(folder))


def _locked_folder() -> tuple[Path, int]:
    root = user_folder()
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # swept meanwhile
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

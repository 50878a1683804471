"""Reads one file of a run folder safely: only regular files of a bounded size, and without waiting.

The file may be anything, e.g. a pipe without a writer, a device, or a terabyte of zeros. The message about a file that
cannot be read continues a sentence that begins with the name of the file.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TypeVar

import msgspec

LONGEST_BYTES = 64 * 2**20
"""Our JSON files are much smaller: a manifest has about 20 kB."""

T = TypeVar("T")

_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}  # fmt: skip


class Unreadable(Exception):
    """Says why a file cannot be read, e.g. ``is a named pipe, not a file``."""


def read_file(path: Path, longest_bytes: int = LONGEST_BYTES) -> bytes:
    """Returns the content of a regular file of at most ``longest_bytes``.

    Raises FileNotFoundError when there is none, and Unreadable for everything else.
    """
    require_regular(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            _require_kind(os.fstat(descriptor).st_mode)
            written = file.read(longest_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(_why(error)) from None
    if len(written) > longest_bytes:
        raise Unreadable(f"is larger than {longest_bytes // 2**20} MB")
    return written


def require_regular(path: Path) -> None:
    """Raises FileNotFoundError when nothing is at ``path``, Unreadable when it is no regular file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise Unreadable("is a link that leads nowhere") from None
        raise
    except (OSError, ValueError) as error:
        raise Unreadable(_why(error)) from None
    _require_kind(mode)


def list_folder(path: Path) -> list[Path]:
    """Returns the entries of a folder, sorted by name. Returns none without a folder. Raises Unreadable."""
    try:
        return sorted(Path(entry) for entry in os.scandir(path))
    except FileNotFoundError:
        if path.is_symlink():
            raise Unreadable("is a link that leads nowhere") from None
        return []
    except NotADirectoryError:
        raise Unreadable("is not a folder") from None
    except OSError as error:
        raise Unreadable(_why(error)) from None


def decode_json(written: bytes, kind: type[T]) -> T:
    """Returns a JSON text as ``kind``. Raises Unreadable when it is torn or of another type."""
    try:
        return msgspec.json.decode(written, type=kind)
    except RecursionError:
        raise Unreadable("is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise Unreadable(f"has a wrong value: {error}") from None
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise Unreadable(f"is torn: {error}") from None


def _require_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise Unreadable(f"is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file")


def _why(error: OSError | ValueError) -> str:
    message = error.strerror if isinstance(error, OSError) else None
    return f"cannot be read: {message or error}"

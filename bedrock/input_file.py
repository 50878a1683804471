"""Reads a file that the user named. It may be a folder, a pipe without a writer, or a file of gigabytes.

Imports only the standard library, because link daemons read traces.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

LONGEST_NAME_BYTES = 255
"""Of one part of a path: what every common file system allows."""
LONGEST_PATH_BYTES = 4096
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class FileUnreadable(OSError):
    """The path does not name a readable file. The message says why and follows the file's name."""


def name_problem(name: str) -> str:
    """Returns why ``name`` cannot be a file's path; empty when it can."""
    if "\0" in name:
        return "a path must not hold a NUL character"
    if not name:
        return "a path must not be empty"
    encoded = os.fsencode(name)
    if len(encoded) >= LONGEST_PATH_BYTES:
        return f"a path must be shorter than {LONGEST_PATH_BYTES} bytes (got {len(encoded)})"
    longest = max(map(len, encoded.split(b"/")))
    if longest > LONGEST_NAME_BYTES:
        return f"a file's name must be at most {LONGEST_NAME_BYTES} bytes long (got {longest})"
    return ""


def is_file(name: str) -> bool:
    """Returns whether ``name`` is a regular file. False, and no exception, for an impossible name."""
    return not name_problem(name) and Path(name).is_file()


def open_regular(path: Path, max_bytes: int) -> IO[bytes]:
    """Opens a regular file of at most ``max_bytes``. Raises FileUnreadable. Never waits for a pipe's writer."""
    if problem := name_problem(str(path)):
        raise FileUnreadable(problem)
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise FileUnreadable("no such file") from None
    except OSError as error:
        raise FileUnreadable(f"cannot be read: {error.strerror}") from None
    facts = os.fstat(descriptor)
    if stat.S_ISREG(facts.st_mode) and facts.st_size <= max_bytes:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISREG(facts.st_mode):
        raise FileUnreadable(f"must be at most {max_bytes:,} bytes long (got {facts.st_size:,})")
    kind = next((name for test, name in _KINDS if test(facts.st_mode)), "something else")
    raise FileUnreadable(f"must be a regular file (it is {kind})")


def read_text(path: Path, max_bytes: int) -> str:
    """Returns a regular file's text without a byte order mark. Raises FileUnreadable, also for text that is not
    UTF-8.
    """
    with open_regular(path, max_bytes) as file:
        try:
            data = file.read(max_bytes + 1)
        except OSError as error:
            raise FileUnreadable(f"cannot be read: {error.strerror}") from None
    if len(data) > max_bytes:  # it grew meanwhile, or reports size 0, like files in /proc
        raise FileUnreadable(f"must be at most {max_bytes:,} bytes long")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileUnreadable("must be written in UTF-8 (it is UTF-16: save it again as UTF-8)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileUnreadable(
            f"must be written in UTF-8 (line {line} holds the byte 0x{data[error.start]:02x}: save it again as UTF-8)"
        ) from None

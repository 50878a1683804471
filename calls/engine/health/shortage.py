"""Detects that the machine or this process has run out of a resource. Calls that fail for it do not count against the
service.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable

EXHAUSTED = {
    errno.EMFILE: "file descriptors of one process",
    errno.ENFILE: "file descriptors of the whole machine",
    errno.ENOMEM: "memory",
    errno.ENOBUFS: "memory for sockets",
}
MORE = {errno.EMFILE: "raise the limit with 'ulimit -n', or sign in fewer people to each worker"}


class Shortage:
    """Reports once, at the first error with such a cause: everything after it fails in the same way."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told = False

    def notice(self, error: BaseException) -> None:
        """Checks an error and its causes."""
        number = _number_in(error)
        if number and not self._told:
            self._told = True
            self._tell(_sentence(number))


def _number_in(error: BaseException | None) -> int:
    while error is not None:
        if isinstance(error, OSError) and error.errno in EXHAUSTED:
            return error.errno
        error = error.__cause__ or error.__context__
    return 0


def _sentence(number: int) -> str:
    limit = f" (allowed {resource.getrlimit(resource.RLIMIT_NOFILE)[0]})" if number == errno.EMFILE else ""
    what = f"the engine ran out of {EXHAUSTED[number]}{limit}: {os.strerror(number)}"
    return what + (f"; {MORE[number]}" if number in MORE else "")

"""Makes stdout and stderr tolerant, so that an output error cannot change a command's exit code.

The reader may have gone (``ringfence gate | head``), the terminal may have hung up, or it may know only ASCII. Output
that nobody can read is dropped. Characters that the terminal cannot show are replaced.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

_READER_GONE = frozenset({errno.EPIPE, errno.EIO, errno.ENXIO, errno.ECONNRESET})
"""write(2): the pipe's other end is closed, or the terminal has hung up."""


class _TolerantFile(io.FileIO):
    """A descriptor whose reader may leave. From then on it leads to /dev/null, for our children, too."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in _READER_GONE:
                raise
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, self.fileno(), inheritable=True)
        os.close(nowhere)
        return len(memoryview(data))  # type: ignore[arg-type]


def tolerate_closed_output() -> None:
    """Replaces ``sys.stdout`` and ``sys.stderr``. Call it at the very start of a program."""
    sys.stdout, sys.stderr = _tolerant(sys.stdout, 1), _tolerant(sys.stderr, 2)


def _tolerant(stream: TextIO | None, descriptor: int) -> TextIO:
    try:
        os.fstat(descriptor)
    except OSError:  # closed by our parent
        return open(os.devnull, "w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream if stream is not None else open(os.devnull, "w", encoding="utf-8")
    stream.flush()
    raw = io.BufferedWriter(_TolerantFile(descriptor, "wb", closefd=False))
    is_prompt = descriptor == 2 or stream.isatty()
    return io.TextIOWrapper(raw, encoding=stream.encoding, errors="replace", line_buffering=is_prompt)

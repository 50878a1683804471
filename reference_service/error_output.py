"""Prints to stderr. A log on a full disk must not stop the service."""

from __future__ import annotations

import contextlib
import sys
import traceback


def print_error(sentence: str) -> None:
    """Prints ``sentence``, or nothing when stderr cannot be written."""
    with contextlib.suppress(OSError, ValueError):
        print(sentence, file=sys.stderr, flush=True)


def print_exception() -> None:
    """Prints the traceback of the exception that is being handled."""
    print_error(traceback.format_exc().rstrip())

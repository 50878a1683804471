"""What the service says on stderr. A full disk under its log must not take it down."""

from __future__ import annotations

import contextlib
import sys
import traceback


def print_error(sentence: str) -> None:
    """Says ``sentence``, or nothing where nobody can hear it."""
    with contextlib.suppress(OSError, ValueError):
        print(sentence, file=sys.stderr, flush=True)


def print_exception() -> None:
    """Prints the exception that is being handled: a fault of ours."""
    print_error(traceback.format_exc().rstrip())

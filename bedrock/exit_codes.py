"""The one list of exit codes. Every command, and every process that ringfence starts, ends with one of them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's end means to the shell and to CI."""

    PASS = 0
    """The verdict is PASS, or the command did what was asked."""
    FAIL = 1
    """The verdict is FAIL: the product broke a rule of its SLO."""
    USAGE = 2
    """A flag, a plan, a profile or an SLO file is wrong. Nothing was started."""
    INCONCLUSIVE = 3
    """Too few calls to decide a rule. Neither a pass nor a fail."""
    INVALID = 4
    """The harness cannot vouch for its own figures."""
    ENVIRONMENT = 5
    """The machine lacks something. The message says what, and how to get it."""
    CRASHED = 70
    """ringfence itself crashed. It says nothing of the product. The message names the traceback's file."""
    INTERRUPTED = 130
    """Ctrl-C, SIGTERM or a closed terminal. The run folder is kept and readable."""

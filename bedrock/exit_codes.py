"""The only list of exit codes. Every command, and every process that ringfence starts, ends with one of them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the end of a command means to the shell and to CI."""

    PASS = 0
    """The verdict is PASS, or the command succeeded."""
    FAIL = 1
    """The verdict is FAIL: the product broke a rule of its SLO file."""
    USAGE = 2
    """A flag, a plan, a profile or an SLO file is wrong. Nothing was started."""
    INCONCLUSIVE = 3
    """Too few calls to decide a rule: neither pass nor fail."""
    INVALID = 4
    """This run can't be trusted: the test machine or the test itself had a problem."""
    ENVIRONMENT = 5
    """A prerequisite is missing. The message says which, and how to get it."""
    CRASHED = 70
    """ringfence itself crashed. That says nothing about the product. The message names the traceback's file."""
    INTERRUPTED = 130
    """Ctrl-C, SIGTERM or a closed terminal. The run folder is kept and readable."""

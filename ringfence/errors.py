"""Defines the errors of the command line.

RingfenceError
|-- ChildDied            a process that the run needs ended by itself                 (exit 4)
`-- BadOverride          ``--set`` or ``--time-scale`` does not fit the plan           (exit 2)
"""

from __future__ import annotations

from bedrock.errors import RingfenceError
from bedrock.exit_codes import ExitCode


class ChildDied(RingfenceError):
    """A process of the harness ended before the run did."""

    exit_code = ExitCode.INVALID


class BadOverride(RingfenceError):
    """An option that changes the plan does not fit it, or is not of the form ``section.key=value``."""

    exit_code = ExitCode.USAGE

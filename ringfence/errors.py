"""Errors of the command line.

RingfenceError
|-- ChildDied            a process that the run cannot do without ended by itself     (exit 4)
`-- BadOverride          ``--set`` names a key that is not in the plan                (exit 2)
"""

from __future__ import annotations

from bedrock.errors import RingfenceError
from bedrock.exit_codes import ExitCode


class ChildDied(RingfenceError):
    """A process of the harness ended before the run did."""

    exit_code = ExitCode.INVALID


class BadOverride(RingfenceError):
    """``--set`` is not of the form ``section.key=value``."""

    exit_code = ExitCode.USAGE

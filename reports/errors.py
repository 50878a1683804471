"""Defines the errors of this package: a run folder that is missing, too new, not writable or not judgeable.

RingfenceError
`-- ReportsError          the root of this package's errors
    |-- RunFolderMissing  there is no run folder at that path         (exit 2)
    |-- NewerFormat       a newer ringfence wrote it                  (exit 2)
    |-- ReportNotWritten  the disk is full, or a folder has the name of a report  (exit 4)
    `-- RunNotJudged      the records are too damaged for a verdict   (exit 4)

Damage inside a folder (a torn file, no manifest) is not an error: it becomes a reason in the verdict.
"""

from __future__ import annotations

from bedrock.errors import RingfenceError
from bedrock.exit_codes import ExitCode


class ReportsError(RingfenceError):
    """The root of this package's errors."""

    exit_code = ExitCode.USAGE


class RunFolderMissing(ReportsError):
    """The path that was named is not a run folder, or its ``latest`` link leads nowhere."""


class NewerFormat(ReportsError):
    """The folder was written by a newer version, in a format that this version does not know."""


class ReportNotWritten(ReportsError):
    """A report could not be written into the run folder. A report that is there may be of an older verdict."""

    exit_code = ExitCode.INVALID


class RunNotJudged(ReportsError):
    """The records are damaged in a way that no check knows. They say nothing about the product."""

    exit_code = ExitCode.INVALID

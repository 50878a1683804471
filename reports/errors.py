"""What can be wrong with a run folder itself.

RingfenceError
`-- ReportsError          the root of this package's errors
    |-- RunFolderMissing  there is no run folder at that path            (exit 2)
    |-- NewerFormat       a newer ringfence wrote it: refused, not guessed at  (exit 2)
    |-- ReportNotWritten  the disk refuses a report, or a folder has its name  (exit 4)
    `-- RunNotJudged      the records are damaged beyond any judgement   (exit 4)

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
    """The folder was written by a newer version whose meaning this one cannot know."""


class ReportNotWritten(ReportsError):
    """A report could not be put into the run folder, so that what lies there may be of an older judgement."""

    exit_code = ExitCode.INVALID


class RunNotJudged(ReportsError):
    """The records are damaged in a way that no check foresaw: nothing can be said of the product."""

    exit_code = ExitCode.INVALID

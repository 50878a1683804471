"""The root of every package's exception tree.

RingfenceError              what a user may see: one sentence, a hint, an exit code
|-- InputError              something a person wrote is wrong: every problem at once      (exit 2)
|-- EnvironmentLacks        the machine lacks a piece, a right or a free port             (exit 5)
|   `-- ChildCrashed        a program of ours crashed or was killed before it was ready   (exit 70)
`-- TargetUnreachable       the calling service does not answer at its address            (exit 5)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import clean


class RingfenceError(Exception):
    """An error with a sentence for the user, a hint for what to do next, and an exit code."""

    exit_code: ExitCode = ExitCode.CRASHED
    """Never FAIL: that is said of the product, by its rules. A class that names no code is not meant for users."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        # Names of files and what other processes said stand in both: a terminal must not obey them.
        self.message = clean(message)
        self.hint = clean(hint)
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one file that a person wrote."""

    file: str
    """The file as the user named it."""
    key: str
    """Dotted path of the key inside the file, e.g. ``matrix.networks[1]``; empty for the file as a whole."""
    message: str
    """What is wrong, with the allowed range or values."""
    hint: str = ""
    """What to write instead, e.g. ``did you mean 'gprs_2g'?``"""

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return clean(f"{where}: {self.message}" + (f" ({self.hint})" if self.hint else ""))


class InputError(RingfenceError):
    """One or more problems in what the user wrote. Raised before anything is started."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the input", hint="")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class EnvironmentLacks(RingfenceError):
    """The machine lacks something that was asked for."""

    exit_code = ExitCode.ENVIRONMENT


class ChildCrashed(EnvironmentLacks):
    """A program that we started crashed, or was killed. Dealt with as one that does not come up, but for its code."""

    exit_code = ExitCode.CRASHED


class TargetUnreachable(EnvironmentLacks):
    """The calling service does not answer at the address given."""

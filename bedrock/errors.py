"""The root of every package's exception tree.

RingfenceError              for the user: one sentence, a hint, an exit code
|-- InputError              the user's input is wrong: every problem at once              (exit 2)
|-- EnvironmentLacks        a program, a permission or a free port is missing             (exit 5)
|   `-- ChildCrashed        a program of ours crashed or was killed before it was ready   (exit 70)
`-- TargetUnreachable       the calling service does not answer at its address            (exit 5)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import clean

_LONGEST_MESSAGE = 1000


class RingfenceError(Exception):
    """An error with a sentence for the user, a hint for what to do next, and an exit code."""

    exit_code: ExitCode = ExitCode.CRASHED
    """Never FAIL, which is a verdict on the product. A class that sets no code is not meant for users."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        # Both may contain file names and output of other processes, which must not control a terminal.
        self.message = clean(message)
        self.hint = clean(hint)
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in one file that the user wrote."""

    file: str
    """The file as the user named it."""
    key: str
    """Dotted path of the key in the file, e.g. ``matrix.networks[1]``; empty for the whole file."""
    message: str
    """What is wrong, with the allowed range or values."""
    hint: str = ""
    """What to write instead, e.g. ``did you mean 'gprs_2g'?``"""

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        message = clean(self.message, _LONGEST_MESSAGE)
        return clean(f"{where}: {message}" + (f" ({self.hint})" if self.hint else ""))


class InputError(RingfenceError):
    """One or more problems in the user's input. Raised before anything is started."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the input", hint="")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class EnvironmentLacks(RingfenceError):
    """The machine lacks something that the command needs."""

    exit_code = ExitCode.ENVIRONMENT


class ChildCrashed(EnvironmentLacks):
    """A program that we started crashed or was killed. Handled like one that does not start, but with another code."""

    exit_code = ExitCode.CRASHED


class TargetUnreachable(EnvironmentLacks):
    """The calling service does not answer at the address given."""

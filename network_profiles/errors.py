"""The errors of links. A profile that is written wrong raises bedrock's InputError.

RingfenceError
|-- EnvironmentLacks
|   `-- LinkCannotBeBuilt     the kernel, a permission or a tool is missing for a shaped link     (exit 5)
`-- LinkLost                  an open link stopped answering: no figure measured over it counts   (exit 4)
"""

from __future__ import annotations

from collections.abc import Sequence

from bedrock.errors import EnvironmentLacks, RingfenceError
from bedrock.exit_codes import ExitCode


class LinkCannotBeBuilt(EnvironmentLacks):
    """This machine cannot build a shaped link. The message and the hint say what is missing."""

    def __init__(self, message: str, *, hint: str = "", missing: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.missing = tuple(missing) or (message,)
        """One sentence for each thing that this machine lacks."""


class LinkLost(RingfenceError):
    """The link's daemon has died or does not answer, or a probe of the link did not report."""

    exit_code = ExitCode.INVALID

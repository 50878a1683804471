"""What can go wrong with a link. A profile that is written wrong is an InputError of bedrock.

RingfenceError
|-- EnvironmentLacks
|   `-- LinkCannotBeBuilt     the kernel, a right or a tool is missing for a shaped link          (exit 5)
`-- LinkLost                  a link that was open stopped answering: no figure over it counts    (exit 4)
"""

from __future__ import annotations

from collections.abc import Sequence

from bedrock.errors import EnvironmentLacks, RingfenceError
from bedrock.exit_codes import ExitCode


class LinkCannotBeBuilt(EnvironmentLacks):
    """This machine cannot make a shaped link. The message and the hint say what is missing."""

    def __init__(self, message: str, *, hint: str = "", missing: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.missing = tuple(missing) or (message,)
        """A sentence a piece that this machine lacks."""


class LinkLost(RingfenceError):
    """The process that moves a link's packets is gone, or a probe of the link did not come back."""

    exit_code = ExitCode.INVALID

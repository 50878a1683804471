"""What goes wrong while the swarm runs.

RingfenceError
|-- EngineLost              a worker's engine process ended or stopped answering
|-- StepNotJudged           a step of a knee search or a rollout could not be judged
|-- NoAccountLeft              a Locust user was started and every person of its worker is already signed in
`-- CallFailed              a call that did not work, as Locust's Failures tab counts it
    |-- ListNotShown        a page of threads or calls that did not come
    |-- MessageFailed       a text message that was not acknowledged
    `-- SignInFailed        a person who could not sign in
"""

from __future__ import annotations

from bedrock.errors import RingfenceError
from bedrock.exit_codes import ExitCode


class EngineLost(RingfenceError):
    """The engine process of this worker is gone: its people are offline until the run ends."""

    exit_code = ExitCode.INVALID


class StepNotJudged(RingfenceError):
    """The judge of a step failed: nothing is known about the step, and the load must not go on."""

    exit_code = ExitCode.INVALID


class NoAccountLeft(RingfenceError):
    """Locust asked for more users than the plan has people on this worker."""


class CallFailed(RingfenceError):
    """One row of Locust's Failures tab.

    Locust keeps one row for every distinct text, so the text is made of codes with few values (stage, reason, blame),
    never of ids, addresses or descriptions.
    """

    def __repr__(self) -> str:
        # Locust offers these rows as CSV, and a spreadsheet would take what begins so for a formula.
        return f"'{self.message}" if self.message.startswith(("=", "+", "-", "@", "\t", "\n")) else self.message


class MessageFailed(CallFailed):
    """A text message was refused or never acknowledged."""


class ListNotShown(CallFailed):
    """The service refused a list of the app, or never sent it."""


class SignInFailed(CallFailed):
    """The service refused a person, or did not answer."""

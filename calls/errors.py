"""Errors that this package raises.

CallsError                  the root
|-- UnknownTarget           the plan names a kind of target that does not exist              (exit 2)
|-- TargetRefused           the service answers a request of ringfence with an error status  (exit 5)
|-- SignInRefused           the service refuses a person's sign-in                           (exit 5)
|   `-- RateLimited         it accepts no more sign-ins now, and says when to retry
|-- TlsFailed               the service's certificate is not trusted, or it speaks no TLS    (exit 5)
|-- NotTheService           something answers, but not the expected service                  (exit 5)
|-- SignalingLost           a person's connection to the service is gone
|-- NotDelivered            the service did not acknowledge a message
|-- ListNotReceived         the service did not return a page of threads or calls
|-- SegmentNotWritten       the disk refused a segment; the rows are kept for a retry        (exit 5)
`-- BridgeError             the engine process and its client
    |-- EngineGone          the engine process has ended or fell silent                      (exit 4)
    |-- EngineSilent        the engine runs but did not answer a request in time             (exit 4)
    `-- EngineRefused       the engine answered with an error; ``code`` says which           (exit 4)
"""

from __future__ import annotations

from bedrock.errors import RingfenceError, TargetUnreachable
from bedrock.exit_codes import ExitCode


class CallsError(RingfenceError):
    """A request to the calls package failed."""


class UnknownTarget(CallsError):
    """No target adapter has that name."""

    exit_code = ExitCode.USAGE


class TargetRefused(CallsError, TargetUnreachable):
    """The service answers and rejects a request of ringfence, e.g. for a wrong admin token."""

    exit_code = ExitCode.ENVIRONMENT


class SignInRefused(CallsError):
    """The service answered and refused the person. ``code`` is the service's own."""

    exit_code = ExitCode.ENVIRONMENT

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class RateLimited(SignInRefused):
    """The service asks to retry after ``retry_after_s``."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message, code="rate_limited", hint="sign people in more slowly, or raise the service's limit")
        self.retry_after_s = retry_after_s


class TlsFailed(CallsError, TargetUnreachable):
    """No secure connection to the service."""

    exit_code = ExitCode.ENVIRONMENT


class NotTheService(CallsError, TargetUnreachable):
    """Something answers, but not the expected service."""

    exit_code = ExitCode.ENVIRONMENT


class SignalingLost(CallsError):
    """The connection to the service is gone and did not come back."""


class NotDelivered(CallsError):
    """A text message was not acknowledged. ``code`` has few distinct values."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class ListNotReceived(CallsError):
    """A page of threads or calls did not arrive. ``code`` has few distinct values."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class SegmentNotWritten(CallsError):
    """A segment could not be written: disk full, no permission, or an I/O error."""

    exit_code = ExitCode.ENVIRONMENT

    def __init__(self, message: str, *, hint: str, is_final: bool) -> None:
        super().__init__(message, hint=hint)
        self.is_final = is_final
        """A retry cannot succeed: the disk is full or read-only, or the process is out of file descriptors."""


class BridgeError(CallsError):
    """The engine process could not carry out a request."""

    exit_code = ExitCode.INVALID


class EngineGone(BridgeError):
    """The engine process has ended, or runs and sends nothing any more."""


class EngineSilent(BridgeError):
    """One request was not answered within its time."""


class EngineRefused(BridgeError):
    """The engine answered a request with an error."""

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code

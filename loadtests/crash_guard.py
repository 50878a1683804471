"""Reports crashes of our hooks, which Locust and gevent would only log."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import gevent

from bedrock import crash
from bedrock.errors import RingfenceError
from bedrock.exit_codes import ExitCode


class CrashGuard:
    """Wraps functions that Locust or gevent call. ``on_crash`` receives every exception."""

    def __init__(self, on_crash: Callable[[Exception], None]) -> None:
        self._on_crash = on_crash

    def guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns ``function`` with its exceptions reported, and None returned in their place."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                self._on_crash(error)
                return None

        return call

    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> gevent.Greenlet:
        """Starts a greenlet whose exceptions are reported."""
        return gevent.spawn(self.guarded(function), *args, **kwargs)


def leave(error: Exception) -> None:
    """Ends a Locust process that could not be set up: with the error's own code, or with 70 after a crash."""
    if isinstance(error, RingfenceError):
        print(f"ringfence: {error}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr)
        raise SystemExit(int(error.exit_code)) from None
    crash.report("locust", error)
    raise SystemExit(int(ExitCode.CRASHED)) from None

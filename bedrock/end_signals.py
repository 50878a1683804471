"""Lists the signals that ask a program to end, besides Ctrl-C: SIGTERM, and SIGHUP of a closed terminal."""

from __future__ import annotations

import signal


def end_signals() -> tuple[signal.Signals, ...]:
    """Returns the signals to handle. SIGHUP is left out where it is ignored, as nohup(1) starts programs.

    Call it before any handler is set.
    """
    hears_hangup = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGHUP) if hears_hangup else (signal.SIGTERM,)

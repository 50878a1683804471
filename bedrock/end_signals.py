"""The signals that ask a program to end: Ctrl-C aside, SIGTERM, and SIGHUP of a terminal that was closed."""

from __future__ import annotations

import signal


def end_signals() -> tuple[signal.Signals, ...]:
    """Returns the signals to handle. SIGHUP is not among them where it is ignored: nohup(1) starts programs like that.

    Ask before a handler is set.
    """
    hears_hangup = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGHUP) if hears_hangup else (signal.SIGTERM,)

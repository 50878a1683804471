"""Tunes an engine process: real-time priority, and rare garbage collection."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

NICENESS = -5
"""Packets have deadlines of milliseconds; browsers and reports on the same machine do not."""
SWITCH_INTERVAL_S = 0.0005
"""How long the thread that writes segments may keep the loop waiting for the interpreter lock."""
GC_THRESHOLDS = (5_000, 20, 100)
"""Young collections take about 2 ms (8 ms at 20,000 objects). A full collection, which stops all calls, is rare."""


def tune_garbage_collection() -> None:
    """Exempts all present objects from collection; call it when everything is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def raise_priority() -> None:
    """Asks the kernel to run this process as soon as a packet is due. A late generator would measure itself.

    Uses real-time round robin, like the links; without the rights only a better niceness, or nothing. Later threads
    inherit it: a thread of lower priority that held the interpreter lock would delay the loop.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        with contextlib.suppress(OSError):
            os.nice(NICENESS)

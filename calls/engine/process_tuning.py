"""How an engine stands in its machine: first in line for the processor, and seldom stopped to collect garbage."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

NICENESS = -5
"""Packets have deadlines of milliseconds, browsers and reports beside us have not."""
SWITCH_INTERVAL_S = 0.0005
"""How long the thread that writes segments may keep the loop waiting for the interpreter."""
GC_THRESHOLDS = (5_000, 20, 100)
"""Young collections of some 2 ms (20,000 objects take 8); a full one, which stops every call at once, hardly ever."""


def tune_garbage_collection() -> None:
    """Sets aside what lives for ever; call it when everything is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def raise_priority() -> None:
    """Asks the kernel to run this process when a packet is due: a late generator would measure itself.

    Real-time round robin, as the links have; only nicer, or as it is, where the rights are missing. Threads that are
    started later inherit it: one that held the interpreter's lock at a lower rank would keep the loop waiting.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        with contextlib.suppress(OSError):
            os.nice(NICENESS)

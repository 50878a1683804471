"""Measures a link again when it missed a bound while the machine was late: only a measurement on time counts.

The bounds never widen: to pass, one measurement must have every figure within its bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from network_profiles.verification.evidence import Evidence


def measure_until_decided(
    measure_once: Callable[[int], Evidence], *, on_time_misses: int, max_measurements: int
) -> Evidence:
    """Calls ``measure_once`` with 0, 1, 2 … until a measurement misses no bound; returns the last one.

    The link fails after ``on_time_misses`` misses on a machine that was on time. A miss while the machine was late does
    not count. The last of ``max_measurements`` decides in any case.
    """
    missed: list[str] = []
    on_time = 0
    for number in range(max_measurements):
        evidence = measure_once(number)
        on_time += not evidence.machine_was_late
        if evidence.ok or on_time >= on_time_misses or number == max_measurements - 1:
            return replace(evidence, first_misses=tuple(missed))
        missed += evidence.misses
    raise ValueError("max_measurements must be at least 1")

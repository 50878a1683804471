"""Looks again at a link that missed a bound while the machine was late: only a look on time tells of the link.

No bound gives way: whatever the machine does, some look has to find every figure within its bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from network_profiles.verification.evidence import Evidence


def measure_until_decided(
    measure_once: Callable[[int], Evidence], *, on_time_misses: int, max_measurements: int
) -> Evidence:
    """Looks, with the look's number from 0 on, until one misses nothing, and returns the last.

    So many misses on a machine that was in time decide against the link: one, or more where chance may make one. A miss
    while the machine was late decides nothing, until ``max_measurements`` looks are over.
    """
    missed: list[str] = []
    on_time = 0
    for number in range(max_measurements):
        evidence = measure_once(number)
        on_time += not evidence.machine_was_late
        if evidence.ok or on_time >= on_time_misses or number == max_measurements - 1:
            return replace(evidence, first_misses=tuple(missed))
        missed += evidence.misses
    raise ValueError("at least one look is needed")

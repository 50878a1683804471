"""A measurement decides about a link unless the machine was late; the bounds never widen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from network_profiles.verification.evidence import Evidence, Figure
from network_profiles.verification.remeasurement import measure_until_decided


def seen(*, off: bool, link_late_ms: float | None = 0.3, probe_late_ms: float = 1.0) -> Evidence:
    figure = Figure("up", "owd_ms", 35.0, 60.0 if off else 35.0, 33.0, 37.0, 100)
    return Evidence("x", "userspace", 1.0, 3.0, (figure,), link_late_ms=link_late_ms, probe_late_ms=probe_late_ms)


RIGHT = seen(off=False)
WRONG = seen(off=True)
LATE_AND_RIGHT = seen(off=False, link_late_ms=30.0)
LATE_AND_WRONG = seen(off=True, link_late_ms=30.0)


def after(*measurements: Evidence) -> tuple[Callable[[int], Evidence], list[int]]:
    asked: list[int] = []

    def measure_once(number: int) -> Evidence:
        asked.append(number)
        return measurements[number]

    return measure_once, asked


@pytest.mark.parametrize(
    ("measurements", "on_time_misses", "ok", "asked_for"),
    [
        ([RIGHT], 1, True, 1),
        ([LATE_AND_RIGHT], 1, True, 1),
        ([WRONG], 1, False, 1),
        ([WRONG, RIGHT], 2, True, 2),
        ([WRONG, WRONG], 2, False, 2),
        ([LATE_AND_WRONG, RIGHT], 1, True, 2),
        ([LATE_AND_WRONG, WRONG], 1, False, 2),
        ([LATE_AND_WRONG, WRONG, LATE_AND_WRONG, WRONG], 2, False, 4),
        ([LATE_AND_WRONG] * 4, 1, False, 4),
    ],
)
def test_a_miss_decides_only_on_a_machine_that_was_in_time(
    measurements: Sequence[Evidence], on_time_misses: int, ok: bool, asked_for: int
) -> None:
    measure_once, asked = after(*measurements)
    evidence = measure_until_decided(measure_once, on_time_misses=on_time_misses, max_measurements=4)
    assert evidence.ok is ok
    assert asked == list(range(asked_for))
    assert len(evidence.first_misses) == asked_for - 1


@pytest.mark.parametrize(
    ("link_late_ms", "probe_late_ms", "late"),
    [(0.3, 4.0, False), (2.5, 4.0, True), (0.3, 60.0, True), (None, 1.0, False), (None, 4.0, True)],
)
def test_a_machine_is_late_when_the_link_or_where_none_tells_the_probe_was(
    link_late_ms: float | None, probe_late_ms: float, late: bool
) -> None:
    evidence = seen(off=True, link_late_ms=link_late_ms, probe_late_ms=probe_late_ms)
    assert evidence.machine_was_late is late
    assert bool(evidence.lateness) is late
    tables = evidence.to_dict()
    assert (tables["link_late_ms"], tables["probe_late_ms"]) == (link_late_ms, probe_late_ms)

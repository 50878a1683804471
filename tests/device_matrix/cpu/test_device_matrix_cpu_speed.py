"""Whether a CPU quota holds, and what it makes of a page, told from the group's own account."""

from __future__ import annotations

from typing import Any, cast

import pytest

from device_matrix.attempt.figures import cpu_figures
from device_matrix.cpu.cpu_limit import CpuGroup
from device_matrix.cpu.speed import CpuSpeed, limit_and_measure
from device_matrix.devices import catalogue
from device_matrix.drivers.protocol import Browser
from device_matrix.errors import DeviceUnavailable


class HeldClock:
    """Moves only while the page works."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return self.now_s


class Page:
    """Works at one speed until it is held, and at another from then on."""

    def __init__(self, group: Group, *, held: float) -> None:
        self._group, self._held = group, held

    def evaluate(self, _function: str, for_ms: float) -> Any:
        self._group.clock.now_s += for_ms / 1000.0
        return [100.0 if self._group.quota_cores is None else self._held, 1]


class Group:
    """A control group whose browser uses ``busy_cores``, whatever it was told."""

    def __init__(self, busy_cores: float) -> None:
        self.clock = HeldClock()
        self.quota_cores: float | None = None
        self._busy_cores = busy_cores

    def limit(self, cores: float | None) -> None:
        self.quota_cores = cores

    def used_s(self) -> float:
        return self.clock.now_s * self._busy_cores


def look(busy_cores: float, quota_cores: float, *, held: float = 25.0) -> CpuSpeed:
    group = Group(busy_cores)
    return limit_and_measure(cast(Browser, Page(group, held=held)), cast(CpuGroup, group), quota_cores, group.clock)


def test_what_the_quota_and_the_page_did_is_kept() -> None:
    seen = look(0.36, 0.36)
    assert seen.used_cores == pytest.approx(0.36)
    assert seen.thread_slowdown == 4.0
    assert seen.expected_slowdown == pytest.approx(2.78, abs=0.01)
    figures = cpu_figures(seen, catalogue()["redmi-go"])
    assert (figures["cpu_quota_cores"], figures["cpu_thread_slowdown"]) == (0.36, 4.0)
    assert figures["cpu_thread_slowdown_of_phone"] == catalogue()["redmi-go"].cpu_slowdown


@pytest.mark.parametrize("quota_cores", [0.25, 0.6])
def test_a_quota_that_does_not_hold_is_an_environment_error(quota_cores: float) -> None:
    with pytest.raises(DeviceUnavailable, match=r"used 0.9. cores of CPU under a quota of") as caught:
        look(0.93, quota_cores)
    assert caught.value.reason == "cpu_limit_off"


def test_a_quota_of_more_than_a_core_slows_no_single_thread() -> None:
    assert look(0.93, 1.6, held=100.0).expected_slowdown == 1.0


def test_without_a_control_group_nothing_is_claimed() -> None:
    assert cpu_figures(None, catalogue()["redmi-go"]) == {"cpu_limit": "none"}

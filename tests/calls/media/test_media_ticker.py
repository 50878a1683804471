from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import pytest
from waiting import eventually_async

from bedrock.clock import SystemClock
from calls.histograms import MsHistogram
from calls.media.timing.ticker import Ticker


class Hand:
    """The ticker's loop and clock, both in the test's hand: time stands still but for ``go_to``."""

    def __init__(self) -> None:
        self.time_s = 1000.0
        self._ring: Callable[[], None] | None = None

    def add_reader(self, _descriptor: int, ring: Callable[[], None]) -> None:
        self._ring = ring

    def remove_reader(self, _descriptor: int) -> None:
        self._ring = None

    def monotonic_s(self) -> float:
        return self.time_s

    def unix_s(self) -> float:
        return self.time_s

    def go_to(self, time_s: float) -> None:
        """The alarm rings at ``time_s``, however much later that is than what it was set to."""
        self.time_s = time_s
        if self._ring is not None:
            self._ring()


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def held(hand: Hand) -> Iterator[Ticker]:
    made = Ticker(cast(asyncio.AbstractEventLoop, hand), hand)
    yield made
    made.close()


@pytest.fixture
async def ticker() -> AsyncIterator[Ticker]:
    made = Ticker(asyncio.get_running_loop(), SystemClock())
    yield made
    made.close()


async def test_calls_at_absolute_deadlines_in_order_and_never_early(ticker: Ticker) -> None:
    called: list[tuple[float, float]] = []
    start_s = ticker.now_s()
    deadlines = [start_s + 0.0005 * step for step in range(40)]
    for deadline_s in reversed(deadlines):
        ticker.call_at(deadline_s, lambda at_s: called.append((at_s, ticker.now_s())))
    assert await eventually_async(lambda: len(called) == 40)
    ticks = [int(at_s * 1000) for at_s, _ in called]
    assert ticks == sorted(ticks)
    assert all(now_s >= at_s - 1e-6 for at_s, now_s in called)
    assert sorted(at_s for at_s, _ in called) == deadlines


def test_a_deadline_is_rounded_up_to_a_millisecond_and_no_further(hand: Hand, held: Ticker) -> None:
    called: list[tuple[float, float]] = []
    for step in range(40):
        held.call_at(1000.0 + 0.0005 * step, lambda at_s: called.append((at_s, hand.time_s)))
    for step in range(400):
        hand.go_to(1000.0 + 0.0001 * step)
    assert len(called) == 40
    assert all(-1e-6 <= now_s - at_s < 0.001 for at_s, now_s in called)


async def test_what_is_scheduled_earlier_is_called_first_though_added_later(ticker: Ticker) -> None:
    order: list[str] = []
    now_s = ticker.now_s()
    ticker.call_at(now_s + 0.03, lambda _at_s: order.append("late"))
    ticker.call_at(now_s + 0.01, lambda _at_s: order.append("early"))
    assert await eventually_async(lambda: "late" in order)
    assert order == ["early", "late"]


def test_a_callback_that_raises_is_counted_and_stops_nobody(
    hand: Hand, held: Ticker, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[float] = []

    def fails(_at_s: float) -> None:
        raise ZeroDivisionError

    held.call_at(1000.002, fails)
    held.call_at(1000.002, called.append)
    hand.go_to(1000.002)
    assert called == [1000.002]
    assert held.callback_errors == 1
    assert "a callback of the ticker failed" in caplog.text


def test_a_stall_is_worked_off_and_each_deadline_keeps_its_own_lateness(hand: Hand, held: Ticker) -> None:
    late_ms: list[float] = []

    def repeat(at_s: float) -> None:
        late_ms.append((hand.time_s - at_s) * 1000)
        held.call_at(at_s + 0.005, repeat)

    held.call_at(1000.005, repeat)
    hand.go_to(1000.060)  # the loop was blocked for so long
    assert late_ms == pytest.approx([55 - 5 * number for number in range(12)], abs=1e-6)
    hand.go_to(1000.065)
    hand.go_to(1000.070)
    assert late_ms[12:] == pytest.approx([0, 0], abs=1e-6)


def test_a_backlog_lets_the_loop_breathe(hand: Hand, held: Ticker) -> None:
    """Every callback takes longer than the time to the next: the ticker never catches up, and others get their turn."""
    called: list[float] = []

    def busy(at_s: float) -> None:
        called.append(at_s)
        hand.time_s += 0.005
        held.call_at(at_s + 0.001, busy)

    held.call_at(1000.0, busy)
    for turn in range(1, 6):
        hand.go_to(hand.time_s)
        assert 4 * turn <= len(called) <= 5 * turn, "20 ms of 5 ms each, then the loop has its turn"


def test_nothing_is_called_after_close(hand: Hand, held: Ticker) -> None:
    called: list[float] = []
    held.call_at(1000.005, called.append)
    assert held.pending() == 1
    held.close()
    held.close()
    held.call_at(1000.005, called.append)
    hand.go_to(1000.020)
    assert called == []
    assert held.pending() == 0


def test_quantiles_are_within_two_percent_and_merge() -> None:
    low, high = MsHistogram(), MsHistogram()
    for ms in range(1, 501):
        low.record(ms)
    for ms in range(501, 1001):
        high.record(ms)
    low.merge(high)
    assert low.count == 1000
    for q in (0.01, 0.5, 0.9, 0.99):
        assert low.quantile_ms(q) == pytest.approx(1000 * q, rel=0.02)
    assert low.quantile_ms(1.0) == pytest.approx(1000, rel=0.02)
    assert low.max_ms == pytest.approx(1000, rel=0.02)
    low.clear()
    assert low.quantile_ms(0.5) is None


def test_a_histogram_takes_zero_negative_and_absurd_durations() -> None:
    histogram = MsHistogram()
    for ms in (-3.0, 0.0, 0.01, 1e9):
        histogram.record(ms)
    assert histogram.min_ms == -3.0
    assert histogram.quantile_ms(0.5) == pytest.approx(0.05)
    assert histogram.quantile_ms(1.0) is not None

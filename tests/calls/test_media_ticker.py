from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from bedrock.clock import SystemClock
from calls.histograms import MsHistogram
from calls.media.ticker import Ticker


@pytest.fixture
async def ticker() -> Iterator[Ticker]:
    made = Ticker(asyncio.get_running_loop(), SystemClock())
    yield made
    made.close()


async def test_calls_at_absolute_deadlines_in_order_and_never_early(ticker: Ticker) -> None:
    called: list[tuple[float, float]] = []
    done = asyncio.Event()
    start_s = ticker.now_s()

    def due(at_s: float) -> None:
        called.append((at_s, ticker.now_s()))
        if len(called) == 40:
            done.set()

    deadlines = [start_s + 0.0005 * step for step in range(40)]
    for deadline_s in reversed(deadlines):
        ticker.call_at(deadline_s, due)
    await asyncio.wait_for(done.wait(), 2)
    ticks = [int(at_s * 1000) for at_s, _ in called]
    assert ticks == sorted(ticks)
    assert all(now_s >= at_s - 1e-6 for at_s, now_s in called)
    assert sorted(at_s for at_s, _ in called) == deadlines


async def test_what_is_scheduled_earlier_is_called_first_though_added_later(ticker: Ticker) -> None:
    order: list[str] = []
    done = asyncio.Event()
    now_s = ticker.now_s()
    ticker.call_at(now_s + 0.03, lambda _at_s: (order.append("late"), done.set()))
    ticker.call_at(now_s + 0.01, lambda _at_s: order.append("early"))
    await asyncio.wait_for(done.wait(), 2)
    assert order == ["early", "late"]


async def test_a_callback_that_raises_is_counted_and_stops_nobody(
    ticker: Ticker, caplog: pytest.LogCaptureFixture
) -> None:
    done = asyncio.Event()
    at_s = ticker.now_s() + 0.002

    def fails(_at_s: float) -> None:
        raise ZeroDivisionError

    ticker.call_at(at_s, fails)
    ticker.call_at(at_s, lambda _at_s: done.set())
    await asyncio.wait_for(done.wait(), 2)
    assert ticker.callback_errors == 1
    assert "a callback of the ticker failed" in caplog.text


async def test_a_stall_is_worked_off_and_each_deadline_keeps_its_own_lateness(ticker: Ticker) -> None:
    late_ms: list[float] = []
    done = asyncio.Event()

    def repeat(at_s: float) -> None:
        late_ms.append((ticker.now_s() - at_s) * 1000)
        if len(late_ms) == 20:
            done.set()
        else:
            ticker.call_at(at_s + 0.005, repeat)

    start_s = ticker.now_s()
    ticker.call_at(start_s + 0.005, repeat)
    time.sleep(0.06)  # noqa: ASYNC251 -- the loop is blocked on purpose
    await asyncio.wait_for(done.wait(), 2)
    assert late_ms[0] >= 50
    assert late_ms[-1] < late_ms[0] / 2
    assert ticker.now_s() - start_s == pytest.approx(0.1, abs=0.08)


async def test_a_backlog_lets_the_loop_breathe(ticker: Ticker) -> None:
    turns = 0
    still_busy = True

    def busy(at_s: float) -> None:
        time.sleep(0.005)
        if still_busy:
            ticker.call_at(at_s + 0.001, busy)

    ticker.call_at(ticker.now_s(), busy)
    end_s = ticker.now_s() + 0.2
    while ticker.now_s() < end_s:
        await asyncio.sleep(0)
        turns += 1
    still_busy = False
    assert turns >= 5


async def test_nothing_is_called_after_close(ticker: Ticker) -> None:
    called: list[float] = []
    ticker.call_at(ticker.now_s() + 0.005, called.append)
    assert ticker.pending() == 1
    ticker.close()
    ticker.close()
    ticker.call_at(ticker.now_s() + 0.005, called.append)
    await asyncio.sleep(0.02)
    assert called == []
    assert ticker.pending() == 0


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

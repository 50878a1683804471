from __future__ import annotations

import pytest
from held_time import START_S, HeldTicker
from media_calls import link_on

from calls.media.access_link import IP_UDP_BYTES


def test_datagrams_arrive_in_order_after_the_delay_and_their_time_on_the_wire() -> None:
    ticker = HeldTicker()
    link = link_on(ticker, rate_kbit=80.0, owd_ms=30.0)
    arrived: list[tuple[int, float]] = []
    for number in range(5):
        link.send_up(200, lambda number=number: arrived.append((number, ticker.now_s() - START_S)))
    ticker.run_out()
    assert [number for number, _ in arrived] == [0, 1, 2, 3, 4]
    assert [after_s for _, after_s in arrived] == pytest.approx([0.030 + place * 0.020 for place in range(1, 6)])
    assert (link.counters.packets, link.counters.bytes) == (5, 1000)


def test_directions_do_not_wait_for_each_other() -> None:
    ticker = HeldTicker()
    link = link_on(ticker, rate_kbit=8.0, owd_ms=0.0, queue_ms=5000.0)
    arrived: list[float] = []
    link.send_up(1000, lambda: None)
    link.send_down(10, lambda: arrived.append(ticker.now_s() - START_S))
    ticker.run_out()
    assert arrived == [pytest.approx(0.010)]


def test_a_full_queue_and_random_loss_are_counted_by_cause() -> None:
    ticker = HeldTicker()
    link = link_on(ticker, rate_kbit=100.0, queue_ms=200.0)
    arrived: list[int] = []
    for number in range(50):
        link.send_down(500, lambda number=number: arrived.append(number))
    ticker.run_out()
    assert len(arrived) == 50 - link.counters.drops["queue"]
    assert 3 <= len(arrived) <= 8
    assert link.counters.drops["loss"] == 0
    lossy = link_on(ticker, seed=4, loss_ratio=0.3)
    for _ in range(200):
        lossy.send_up(100, lambda: None)
    assert 30 <= lossy.counters.drops["loss"] <= 90


def test_the_same_seed_loses_the_same_datagrams() -> None:
    losses = []
    for seed in (7, 7, 8):
        link = link_on(HeldTicker(), seed=seed, loss_ratio=0.5)
        pattern = []
        for _ in range(64):
            before = link.counters.drops["loss"]
            link.send_up(100, lambda: None)
            pattern.append(link.counters.drops["loss"] > before)
        losses.append(pattern)
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("size_bytes", [1, 1400, 1401, 20_000])
def test_a_reliable_message_arrives_once_though_segments_are_lost(size_bytes: int) -> None:
    ticker = HeldTicker()
    link = link_on(ticker, seed=3, owd_ms=1.0, loss_ratio=0.25)
    arrived: list[int] = []
    for number in range(6):
        link.send_up_reliable(size_bytes, lambda number=number: arrived.append(number))
    ticker.run_out()
    assert arrived == [0, 1, 2, 3, 4, 5]


def test_a_lost_segment_holds_back_what_follows_for_a_timeout() -> None:
    seed = next(seed for seed in range(100) if _loses_first_only(seed))
    ticker = HeldTicker()
    link = link_on(ticker, seed=seed, owd_ms=1.0, loss_ratio=0.3)
    arrived: list[tuple[int, float]] = []
    for number in range(2):
        link.send_down_reliable(100, lambda number=number: arrived.append((number, ticker.now_s() - START_S)))
    ticker.run_out()
    assert [number for number, _ in arrived] == [0, 1]
    # 200 ms and twice the 2 ms of a round trip until the first is sent again, then its way.
    assert [after_s for _, after_s in arrived] == pytest.approx([0.205, 0.205])


def _loses_first_only(seed: int) -> bool:
    link = link_on(HeldTicker(), seed=seed, owd_ms=1.0, loss_ratio=0.3)
    outcomes = []
    for _ in range(3):
        before = link.counters.drops["loss"]
        link.send_down(152, lambda: None)
        outcomes.append(link.counters.drops["loss"] > before)
    return outcomes == [True, False, False]


def test_nothing_arrives_after_close() -> None:
    ticker = HeldTicker()
    link = link_on(ticker, owd_ms=10.0, loss_ratio=0.5, seed=2)
    arrived: list[int] = []
    for number in range(10):
        link.send_up(100, lambda number=number: arrived.append(number))
        link.send_up_reliable(100, lambda number=number: arrived.append(number))
    link.close()
    link.send_down(100, lambda: arrived.append(99))
    ticker.run_out()
    assert arrived == []


def test_a_datagram_s_headers_are_those_of_ipv4_and_udp() -> None:
    assert IP_UDP_BYTES == 20 + 8

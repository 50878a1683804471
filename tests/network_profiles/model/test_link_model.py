from __future__ import annotations

import itertools
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.model.link import Delivery, DropCause, LinkDirection
from network_profiles.model.shape import PlainShape, plain_shape

CLEAN = PlainShape(rate_kbit=100.0, owd_ms=50.0, jitter_ms=0.0, loss_ratio=0.0, loss_burst_packets=1.0, queue_ms=1000.0)
repeatable = settings(max_examples=60, deadline=None, derandomize=True)

shapes = st.builds(
    PlainShape,
    rate_kbit=st.one_of(st.none(), st.floats(8.0, 100_000.0)),
    owd_ms=st.floats(0.0, 1000.0),
    jitter_ms=st.floats(0.0, 300.0),
    loss_ratio=st.floats(0.0, 0.5),
    loss_burst_packets=st.floats(1.0, 20.0),
    queue_ms=st.floats(1.0, 3000.0),
)
offers = st.lists(st.tuples(st.floats(0.0, 0.2), st.integers(28, 1500)), min_size=1, max_size=120)


def deliver(shape: PlainShape, packets: list[tuple[float, int]], seed: int = 1) -> list[tuple[float, int, Delivery]]:
    link = LinkDirection(shape, random.Random(seed))
    times = itertools.accumulate(gap_s for gap_s, _ in packets)
    return [(now_s, size, link.offer(now_s, size)) for now_s, (_, size) in zip(times, packets, strict=True)]


@repeatable
@given(shapes, offers, st.integers(0, 1000))
def test_order_is_kept_and_nothing_arrives_before_it_was_sent(
    shape: PlainShape, packets: list[tuple[float, int]], seed: int
) -> None:
    arrived = [(now_s, one.at_s) for now_s, _, one in deliver(shape, packets, seed) if one.at_s is not None]
    assert all(at_s >= now_s for now_s, at_s in arrived)
    assert all(earlier[1] <= later[1] for earlier, later in itertools.pairwise(arrived))


@repeatable
@given(shapes.filter(lambda shape: shape.rate_kbit is not None), offers, st.integers(0, 1000))
def test_no_stretch_of_deliveries_is_faster_than_the_rate_apart_from_jitter(
    shape: PlainShape, packets: list[tuple[float, int]], seed: int
) -> None:
    assert shape.rate_kbit is not None
    arrived = [(size, one.at_s) for _, size, one in deliver(shape, packets, seed) if one.at_s is not None]
    widest_jitter_s = 2 * 2 * shape.jitter_ms / 1000.0
    for first in range(len(arrived) - 1):
        bits = 8 * sum(size for size, _ in arrived[first + 1 :])
        took_s = arrived[-1][1] - arrived[first][1]
        assert took_s >= bits / (shape.rate_kbit * 1000.0) - widest_jitter_s - 1e-9


@repeatable
@given(shapes, offers, st.integers(0, 1000))
def test_the_same_seed_gives_the_same_packets(shape: PlainShape, packets: list[tuple[float, int]], seed: int) -> None:
    assert deliver(shape, packets, seed) == deliver(shape, packets, seed)


@repeatable
@given(shapes.filter(lambda shape: shape.rate_kbit is not None), offers, st.integers(0, 1000))
def test_no_packet_waits_longer_than_the_queue_is_deep(
    shape: PlainShape, packets: list[tuple[float, int]], seed: int
) -> None:
    assert shape.rate_kbit is not None
    free_of_jitter = shape._replace(jitter_ms=0.0)
    for now_s, size, one in deliver(free_of_jitter, packets, seed):
        if one.at_s is not None:
            own_s = size * 8 / (shape.rate_kbit * 1000.0)
            assert one.at_s - now_s <= (shape.queue_ms + shape.owd_ms) / 1000.0 + own_s + 1e-9


@repeatable
@given(shapes, offers, st.integers(0, 1000))
def test_every_packet_is_counted_once(shape: PlainShape, packets: list[tuple[float, int]], seed: int) -> None:
    link = LinkDirection(shape, random.Random(seed))
    for number, (_, size) in enumerate(packets):
        link.offer(number * 0.01, size)
    assert link.packets == len(packets)
    assert link.bytes == sum(size for _, size in packets)
    assert link.packets == link.delivered_packets + sum(link.dropped.values())


def test_a_lone_packet_takes_its_time_on_the_wire_and_the_delay() -> None:
    link = LinkDirection(CLEAN, random.Random(1))
    assert link.offer(10.0, 1250).at_s == pytest.approx(10.0 + 0.1 + 0.05)


def test_a_packet_waits_for_those_before_it() -> None:
    link = LinkDirection(CLEAN, random.Random(1))
    assert [link.offer(0.0, 1250).at_s for _ in range(3)] == pytest.approx([0.15, 0.25, 0.35])


def test_a_full_queue_drops_at_the_tail_and_takes_packets_again_once_drained() -> None:
    link = LinkDirection(CLEAN, random.Random(1))
    burst = [link.offer(0.0, 1250) for _ in range(20)]
    assert [one.cause for one in burst] == [None] * 11 + [DropCause.QUEUE] * 9
    assert link.offer(0.2, 1250).cause is None


def test_a_link_without_a_rate_delays_and_never_queues() -> None:
    link = LinkDirection(CLEAN._replace(rate_kbit=None), random.Random(1))
    assert {link.offer(0.0, 1500).at_s for _ in range(1000)} == {0.05}


def test_total_loss_loses_everything() -> None:
    link = LinkDirection(CLEAN._replace(loss_ratio=1.0), random.Random(1))
    assert all(link.offer(number, 100).cause is DropCause.LOSS for number in range(100))


@pytest.mark.parametrize(("loss_ratio", "burst"), [(0.01, 2), (0.02, 2), (0.02, 3), (0.05, 3), (0.10, 4), (0.005, 1)])
def test_mean_loss_and_mean_burst_are_what_was_asked_for(loss_ratio: float, burst: float) -> None:
    shape = CLEAN._replace(rate_kbit=None, loss_ratio=loss_ratio, loss_burst_packets=float(burst))
    link = LinkDirection(shape, random.Random(5))
    lost = [link.offer(0.0, 100).at_s is None for _ in range(200_000)]
    bursts = [len(list(run)) for gone, run in itertools.groupby(lost) if gone]
    # 200,000 packets put four standard errors of the rarest case here (0.5 %) at 7 % of its loss, 10 % to be safe.
    assert statistics.fmean(lost) == pytest.approx(loss_ratio, rel=0.10)
    assert statistics.fmean(bursts) == pytest.approx(burst, rel=0.10)


def test_jitter_has_its_spread_around_the_delay() -> None:
    shape = CLEAN._replace(rate_kbit=None, owd_ms=200.0, jitter_ms=30.0)
    link = LinkDirection(shape, random.Random(5))
    delays_ms = []
    for second in range(4000):
        at_s = link.offer(float(second), 100).at_s
        assert at_s is not None
        delays_ms.append((at_s - second) * 1000)
    assert statistics.median(delays_ms) == pytest.approx(200.0, abs=2.0)
    assert statistics.stdev(delays_ms) == pytest.approx(30.0 * 0.96, rel=0.05)
    assert max(delays_ms) <= 260.0 + 1e-6


def test_a_changed_link_keeps_the_order_of_what_was_under_way() -> None:
    link = LinkDirection(CLEAN._replace(owd_ms=500.0), random.Random(1))
    before = link.offer(0.0, 100).at_s
    link.reshape(CLEAN._replace(owd_ms=5.0))
    after = link.offer(0.01, 100).at_s
    assert before is not None
    assert after is not None
    assert after >= before


def test_a_saturated_link_gives_its_rate_whatever_it_loses() -> None:
    shape = plain_shape(load_catalogue()["wifi_lossy"].down)
    link = LinkDirection(shape, random.Random(2))
    arrived = [at_s for number in range(30_000) if (at_s := link.offer(number * 0.0003, 1400).at_s) is not None]
    kbit = (len(arrived) - 1) * 1400 * 8 / (arrived[-1] - arrived[0]) / 1000
    assert kbit == pytest.approx(20_000, rel=0.01)

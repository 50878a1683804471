from __future__ import annotations

import itertools
import random
import re
import statistics
from array import array
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.model.link import DropCause, LinkDirection
from network_profiles.model.plain_profile import PlainProfile, plain_profile
from network_profiles.model.shape import PlainShape
from network_profiles.model.timeline import Timeline
from network_profiles.model.traces.delivery_opportunities import RecordedOpportunities, VariableRateOpportunities
from network_profiles.model.traces.generate import RateProcess, RateSegment, cut_log_normal_mean, generate
from network_profiles.model.traces.mahimahi import (
    OPPORTUNITY_BYTES,
    MahimahiTrace,
    TraceUnreadable,
    opportunity_times_ms,
    parse_trace,
    read_trace,
)

PROCESS = RateProcess(
    spread=0.6, peak_ratio=2.5, coherence_s=2.0, gap_every_s=22.0, gap_median_s=1.6, gap_spread=0.55, gap_longest_s=5.8
)
repeatable = settings(max_examples=60, deadline=None, derandomize=True)
traces = st.lists(st.integers(0, 300), min_size=1, max_size=60).map(
    lambda gaps: array("q", [at_ms + 1 for at_ms in itertools.accumulate(gaps)])
)
offers = st.lists(st.tuples(st.floats(0.0, 0.3), st.integers(28, 1500)), min_size=1, max_size=80)


def until(length_s: float, segments: Iterable[RateSegment]) -> list[RateSegment]:
    found: list[RateSegment] = []
    for lasts_s, kbit in segments:
        found.append((lasts_s, kbit))
        length_s -= lasts_s
        if length_s <= 1e-6:
            return found
    return found


def test_a_generated_trace_keeps_its_mean_and_its_share_of_gaps() -> None:
    found = until(20_000.0, generate(PROCESS, 2000.0, seed="1", side="down"))
    total_s = sum(lasts_s for lasts_s, _ in found)
    gaps_s = [lasts_s for lasts_s, kbit in found if kbit == 0]
    # 840 gaps of 1.86 s: three standard errors of their share are 9 % of it; of the mean rate, 3 %.
    assert sum(gaps_s) / total_s == pytest.approx(PROCESS.gap_share, rel=0.10)
    assert sum(lasts_s * kbit for lasts_s, kbit in found) / total_s == pytest.approx(2000.0, rel=0.05)
    assert statistics.median(gaps_s) == pytest.approx(1.6, rel=0.10)
    assert max(gaps_s) <= 5.8
    assert max(kbit for _, kbit in found) <= PROCESS.median_kbit(2000.0) * 2.5 + 1e-6


def test_a_generated_rate_does_not_jump() -> None:
    rates = [kbit for _, kbit in until(2000.0, generate(PROCESS, 2000.0, seed="2", side="up")) if kbit]
    near = statistics.correlation(rates[:-1], rates[1:])
    far = statistics.correlation(rates[:-200], rates[200:])  # 20 s: ten times the coherence
    assert near > 0.9
    assert abs(far) < 0.25


def test_both_directions_fade_together_and_wander_apart() -> None:
    down, up = (until(500.0, generate(PROCESS, 2000.0, seed="3", side=side)) for side in ("down", "up"))
    assert [lasts_s for lasts_s, kbit in down if not kbit] == [lasts_s for lasts_s, kbit in up if not kbit]
    assert down != up
    assert down == until(500.0, generate(PROCESS, 2000.0, seed="3", side="down"))
    assert down != until(500.0, generate(PROCESS, 2000.0, seed="4", side="down"))


@pytest.mark.parametrize(("spread", "cut"), [(0.0, 3.0), (0.5, 1.0), (1.1, 1.2), (0.9, 5.0)])
def test_the_mean_of_a_cut_log_normal_is_that_of_many_draws(spread: float, cut: float) -> None:
    rng = random.Random(1)
    drawn = [min(cut, rng.lognormvariate(0.0, spread)) for _ in range(100_000)]
    assert cut_log_normal_mean(spread, cut) == pytest.approx(statistics.fmean(drawn), rel=0.02)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "has no lines"),
        (b"1\n2\nx\n", "line 3: must be whole milliseconds from 0"),
        (b"1\n-2\n", "line 2: must be whole milliseconds"),
        (b"1\n2.5\n", "line 2"),
        (b"5\n4\n", "line 2: must not be before the line above it, 5 (got 4)"),
        (b"0\n0\n", "must end between 1"),
        (b"\xff\xfe1\n", "line 1"),
        (b"99999999999\n", "line 1"),
    ],
)
def test_what_is_not_a_trace_is_told_by_its_line(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "x.up"
    path.write_bytes(text)
    with pytest.raises(TraceUnreadable, match=re.escape(says)):
        read_trace(path)


def test_a_trace_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.up"
    path.write_text("10\n20\n")
    assert read_trace(path).length_s == 0.02
    path.write_text("10\n20\n300\n")
    assert read_trace(path).length_s == 0.3
    path.unlink()
    with pytest.raises(TraceUnreadable, match="no such file"):
        read_trace(path)
    with pytest.raises(TraceUnreadable, match="must be a regular file"):
        read_trace(tmp_path)


def test_opportunities_are_shared_by_small_packets_and_added_up_for_large_ones() -> None:
    opportunities = RecordedOpportunities(array("q", [10, 20, 30]), 100.0)
    assert opportunities.departure_s(100.0, 752) == pytest.approx(100.010)
    assert opportunities.departure_s(100.0, 752) == pytest.approx(100.010)
    assert opportunities.departure_s(100.0, 1) == pytest.approx(100.020)
    assert opportunities.departure_s(100.0, 1504) == pytest.approx(100.030)


def test_an_unused_opportunity_is_lost_and_the_trace_begins_again() -> None:
    opportunities = RecordedOpportunities(array("q", [10, 20, 30]), 100.0)
    assert opportunities.departure_s(100.025, 100) == pytest.approx(100.030)
    assert opportunities.departure_s(100.030, 100) == pytest.approx(100.040)
    assert opportunities.departure_s(100.0, 1404) == pytest.approx(100.040)
    assert opportunities.departure_s(107.215, 1500) == pytest.approx(107.220)


def test_a_wandering_rate_serves_a_packet_over_its_changes_and_gaps() -> None:
    opportunities = VariableRateOpportunities(iter([(1.0, 8.0), (5.0, 0.0), (1.0, 16.0)]), 10.0)
    assert opportunities.departure_s(10.0, 500) == pytest.approx(10.5)
    assert opportunities.departure_s(10.9, 300) == pytest.approx(16.1)
    assert opportunities.departure_s(10.9, 200) == pytest.approx(16.2)


@repeatable
@given(traces, offers)
def test_a_trace_serves_in_order_and_never_more_than_it_has(
    at_ms: array[int], packets: list[tuple[float, int]]
) -> None:
    opportunities = RecordedOpportunities(at_ms, 0.0)
    now_s = last_s = 0.0
    served: dict[float, int] = {}
    for gap_s, size in packets:
        now_s += gap_s
        leaves_s = opportunities.departure_s(now_s, size)
        assert leaves_s > now_s
        assert leaves_s >= last_s
        last_s = leaves_s
        served[leaves_s] = served.get(leaves_s, 0) + size
    rounds = int(last_s / (at_ms[-1] / 1000)) + 2
    moments = [lap * at_ms[-1] + one for lap in range(rounds) for one in at_ms]
    assert sum(served.values()) <= sum(one <= last_s * 1000 + 1e-6 for one in moments) * OPPORTUNITY_BYTES


def steady(shape: PlainShape) -> LinkDirection:
    opportunities = VariableRateOpportunities(itertools.repeat((0.1, shape.rate_kbit or 0.0)), 0.0)
    return LinkDirection(shape, random.Random(1), timeline=Timeline(iter(()), 0.0, opportunities=opportunities))


def test_a_trace_that_stands_still_is_the_plain_link() -> None:
    shape = PlainShape(200.0, 40.0, 10.0, 0.02, 2.0, 60_000.0)
    plain, traced = LinkDirection(shape, random.Random(1)), steady(shape)
    sizes = random.Random(2)
    for number in range(3000):
        now_s, size = number * 0.01 + (number // 300) * 2.0, sizes.randint(60, 900)
        one, other = plain.offer(now_s, size), traced.offer(now_s, size)
        assert one.cause == other.cause
        assert (one.at_s or 0.0) == pytest.approx(other.at_s or 0.0, abs=1e-6)


def test_the_queue_of_a_trace_is_as_deep_as_that_of_the_plain_link() -> None:
    shape = PlainShape(200.0, 40.0, 0.0, 0.0, 1.0, 300.0)
    plain, traced = LinkDirection(shape, random.Random(1)), steady(shape)
    for number in range(3000):
        one, other = (link.offer(number * 0.01, 500).at_s for link in (plain, traced))
        # The packet that is leaving counts whole in bytes and by its rest in time: one packet of 20 ms apart at most.
        if one is not None and other is not None:
            assert one == pytest.approx(other, abs=0.02 + 1e-6)
    assert plain.dropped[DropCause.QUEUE] > 1000
    assert traced.dropped[DropCause.QUEUE] == pytest.approx(plain.dropped[DropCause.QUEUE], abs=2)


def test_packets_wait_through_a_gap_as_long_as_the_queue_has_room() -> None:
    profile = PlainProfile(
        PlainShape(80.0, 0.0, 0.0, 0.0, 1.0, 1000.0), PlainShape(80.0, 0.0, 0.0, 0.0, 1.0, 1000.0), down_trace=PROCESS
    )
    link = profile.direction("down", 1)
    opportunities = VariableRateOpportunities(iter([(1.0, 80.0), (4.0, 0.0), (100.0, 80.0)]), 0.0)
    link.follow_timeline(Timeline(iter(()), 0.0, opportunities=opportunities))
    during = [link.offer(2.0 + number / 100, 1000) for number in range(30)]
    # 1000 ms at 80 kbit/s are 10,000 bytes: eleven packets of 1000 are taken before there are more than that waiting.
    assert [one.cause for one in during] == [None] * 11 + [DropCause.QUEUE] * 19
    assert [one.at_s for one in during[:11]] == pytest.approx([5.1 + number / 10 for number in range(11)])


def test_packets_that_wait_share_every_opportunity_of_a_millisecond(tmp_path: Path) -> None:
    file = tmp_path / "trace"
    file.write_text("10\n10\n10\n20\n")
    shape = PlainShape(1000.0, 0.0, 0.0, 0.0, 1.0, 1000.0)
    profile = PlainProfile(shape, shape, down_trace=str(file))
    link = profile.direction("down", 1)
    link.follow_timeline(profile.timeline("down", 1, 100.0))
    leave_at = [link.offer(100.0 + number / 1000, 1000).at_s for number in range(6)]
    # Three opportunities hold four packets of 1000 bytes and half of the fifth, which the next one completes.
    assert leave_at == pytest.approx([100.01] * 4 + [100.02] * 2)
    # 16 bytes of the last one are left: what comes at that moment is late for them.
    assert link.offer(100.02, 1000).at_s == pytest.approx(100.03)


def test_a_trace_that_begins_anew_serves_nothing_before_what_is_on_its_way() -> None:
    link = steady(PlainShape(80.0, 0.0, 0.0, 0.0, 1.0, 1000.0))
    assert [link.offer(0.0, 1000).at_s for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    link.follow_timeline(
        Timeline(iter(()), 0.05, opportunities=VariableRateOpportunities(itertools.repeat((0.1, 80.0)), 0.05))
    )
    assert link.offer(0.05, 1000).at_s == pytest.approx(0.4)


@repeatable
@given(st.integers(0, 500), offers)
def test_every_packet_on_a_trace_is_counted_once(seed: int, packets: list[tuple[float, int]]) -> None:
    shape = PlainShape(300.0, 40.0, 20.0, 0.05, 3.0, 200.0)
    profile = PlainProfile(shape, shape, down_trace=PROCESS, up_trace=PROCESS)
    links = [profile.direction("up", seed) for _ in range(2)]
    for link in links:
        link.follow_timeline(profile.timeline("up", seed, 0.0))
    times = list(itertools.accumulate(gap_s for gap_s, _ in packets))
    first, again = ([link.offer(at_s, size) for at_s, (_, size) in zip(times, packets, strict=True)] for link in links)
    assert first == again
    assert len(packets) == links[0].delivered_packets + sum(links[0].dropped.values())
    out = [one.at_s for one in first if one.at_s is not None]
    assert out == sorted(out)


def test_a_recorded_trace_is_sampled_with_its_bytes_and_its_gaps() -> None:
    made = generate(PROCESS, 2000.0, seed="5", side="down")
    trace = MahimahiTrace(array("q", opportunity_times_ms(made, 120.0)))
    sampled = until(trace.length_s, trace.sampled())
    assert sum(lasts_s for lasts_s, _ in sampled) == pytest.approx(trace.length_s)
    assert sum(lasts_s * kbit for lasts_s, kbit in sampled) == pytest.approx(trace.mean_kbit * trace.length_s, rel=1e-6)
    made = generate(PROCESS, 2000.0, seed="5", side="down")
    real_gaps = [lasts_s for lasts_s, kbit in until(trace.length_s - 0.1, made) if not kbit]
    gaps = [lasts_s for lasts_s, kbit in sampled if not kbit]
    assert gaps == pytest.approx([one for one in real_gaps if one >= 1.0], abs=0.05)


def test_a_slow_trace_is_not_sampled_as_outages() -> None:
    trace = MahimahiTrace(parse_trace(b"%d\n" % at_ms for at_ms in range(240, 24_001, 240)))  # 50 kbit/s
    assert {round(kbit) for _, kbit in until(20.0, trace.sampled())} == {50}


def test_the_sampled_timeline_of_a_trace_is_its_rates_and_outages() -> None:
    shape = PlainShape(2000.0, 40.0, 0.0, 0.0, 1.0, 500.0)
    profile = PlainProfile(shape, shape, down_trace=PROCESS)
    timeline = profile.timeline("down", 7, 100.0)
    assert profile.timeline("up", 7, 100.0) is None
    assert timeline is not None
    at_s = 100.0
    for lasts_s, kbit in until(60.0, generate(PROCESS, 2000.0, seed="7", side="down")):
        found = timeline.state_at(at_s)
        assert found.until_s == pytest.approx(at_s + lasts_s)
        if kbit == 0:
            assert found.shape is None
        else:
            assert found.shape is not None
            assert found.shape.rate_kbit == pytest.approx(kbit)
            assert found.shape.queue_ms * kbit == pytest.approx(500.0 * 2000.0)
        at_s = found.until_s


PUBLISHED_DRIVES = {
    # profile, direction: seconds, mean and median of 1 s kbit/s, gaps of 1 s and more, their share, the longest
    ("umts_driving", "down"): (928, 2025, 1901, 32, 0.067, 5.75),
    ("umts_driving", "up"): (928, 946, 1083, 23, 0.054, 5.8),
    ("evdo_driving", "down"): (1062, 522, 409, 44, 0.085, 11.6),
    ("lte_driving", "down"): (786, 5187, 5438, 21, 0.027, 1.5),
}


@pytest.mark.parametrize("drive", sorted(PUBLISHED_DRIVES))
def test_generated_drives_are_like_the_recorded_ones(drive: tuple[str, str]) -> None:
    seconds, mean_kbit, median_kbit, gaps, gap_share, longest_s = PUBLISHED_DRIVES[drive]
    profile = load_catalogue()[drive[0]]
    direction = profile.down if drive[1] == "down" else profile.up
    process = plain_profile(profile).down_trace if drive[1] == "down" else plain_profile(profile).up_trace
    assert isinstance(process, RateProcess)
    drives = [
        until(seconds, generate(process, direction.rate_kbit or 0.0, seed=str(n), side=drive[1])) for n in range(20)
    ]
    means, medians, counts, shares = zip(*(told(one, seconds) for one in drives), strict=True)
    # Means over 20 drives. One recorded drive is one draw: its 20 to 40 gaps alone leave it a fifth either way.
    assert statistics.fmean(means) == pytest.approx(mean_kbit, rel=0.05)
    assert statistics.fmean(medians) == pytest.approx(median_kbit, rel=0.10)
    assert statistics.fmean(counts) == pytest.approx(gaps, rel=0.45)
    assert statistics.fmean(shares) == pytest.approx(gap_share, rel=0.35)
    assert max(lasts_s for one in drives for lasts_s, kbit in one if not kbit) <= longest_s + 0.06


def told(drive: list[RateSegment], seconds: int) -> tuple[float, float, int, float]:
    """Mean and median of the 1 s rates, number and share of the gaps of 1 s and more."""
    earned = [0.0] * seconds
    at_s = 0.0
    for lasts_s, kbit in drive:
        ends_s = min(at_s + lasts_s, seconds)
        while at_s < ends_s - 1e-9:
            second = int(at_s + 1e-9)
            part_s = min(second + 1.0, ends_s) - at_s
            earned[second] += kbit * part_s
            at_s += part_s
    gaps_s = [lasts_s for lasts_s, kbit in drive if not kbit and lasts_s >= 1.0]
    return statistics.fmean(earned), statistics.median(earned), len(gaps_s), sum(gaps_s) / seconds

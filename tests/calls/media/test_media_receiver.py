from __future__ import annotations

import random

import pytest

from calls.media.rtp.playout import CEILING_MS, FLOOR_MS, PlayoutBuffer
from calls.media.rtp.rtp_header import RtpHeader
from calls.media.rtp.rtp_receiver import AudioReceiver


class Listener:
    """Feeds a receiver with packets that left every ``ptime_ms`` and arrived when the test says."""

    def __init__(self, first_sequence: int = 0, ptime_ms: int = 20, ssrc: int = 5, first_timestamp: int = 0) -> None:
        self.first_heard: list[float] = []
        self.receiver = AudioReceiver(2, self.first_heard.append)
        self.header = RtpHeader(payload_type=111, ssrc=ssrc, abs_send_time_id=2, mid_id=4, mid="0")
        self.first_sequence, self.ptime_ms, self.first_timestamp = first_sequence, ptime_ms, first_timestamp
        self.buffer = bytearray(256)

    def hear(self, number: int, owd_ms: float = 40.0) -> bool:
        sent_s = 1000 + number * self.ptime_ms / 1000
        timestamp = (self.first_timestamp + number * 48 * self.ptime_ms) & 0xFFFFFFFF
        self.header.write(self.buffer, (self.first_sequence + number) & 0xFFFF, timestamp, False, sent_s)
        return self.receiver.on_packet(self.buffer, self.header.length + 60, 60, sent_s + owd_ms / 1000)


def test_a_clean_stream_over_every_wrap_loses_nothing() -> None:
    listener = Listener(first_sequence=65500, first_timestamp=0xFFFFFF00)
    for number in range(200):
        assert listener.hear(number)
    receiver = listener.receiver
    assert (receiver.received, receiver.lost, receiver.expected) == (200, 0, 200)
    assert receiver.jitter_ms == pytest.approx(0, abs=0.001)
    assert receiver.owd.quantile_ms(0.5) == pytest.approx(40, rel=0.02)
    assert receiver.max_gap_ms == pytest.approx(20, abs=0.01)
    assert receiver.late_packets == 0
    assert listener.first_heard == [1000.04]


def test_loss_reordering_and_duplicates_are_told_apart() -> None:
    listener = Listener(first_sequence=65530)
    for number in [0, 1, 2, 5, 4, 4, 5, 6, 2, 9]:
        listener.hear(number)
    receiver = listener.receiver
    assert receiver.received == 7
    assert receiver.lost == 3
    assert receiver.reordered == 1
    assert receiver.duplicates == 3


def test_nothing_before_the_first_packet_counts_as_received() -> None:
    listener = Listener(first_sequence=100)
    listener.hear(5)
    assert not listener.hear(4)
    assert (listener.receiver.received, listener.receiver.lost) == (1, 0)


def test_jitter_follows_rfc_3550() -> None:
    listener = Listener()
    expected_ms, last_ms = 0.0, None
    rng = random.Random(1)
    for number in range(300):
        owd_ms = 40 + rng.uniform(0, 30)
        listener.hear(number, owd_ms)
        if last_ms is not None:
            expected_ms += (abs(owd_ms - last_ms) - expected_ms) / 16
        last_ms = owd_ms
    assert listener.receiver.jitter_ms == pytest.approx(expected_ms, rel=1e-6)


def test_a_new_stream_of_the_same_person_goes_on_counting() -> None:
    listener = Listener()
    for number in range(50):
        listener.hear(number)
    listener.header = RtpHeader(payload_type=111, ssrc=6, abs_send_time_id=2, mid_id=4, mid="0")
    listener.first_sequence, listener.first_timestamp = 40_000, 777
    for number in (60, 61, 63):
        listener.hear(number)
    assert listener.receiver.received == 53
    assert listener.receiver.lost == 1
    assert listener.receiver.max_gap_ms == pytest.approx(220, abs=0.1)


def test_silence_up_to_the_intended_end_counts_and_nothing_after() -> None:
    listener = Listener()
    for number in range(100):
        listener.hear(number)
    listener.receiver.stop(1000 + 99 * 0.02 + 0.04 + 0.7)
    assert listener.receiver.max_gap_ms == pytest.approx(700, abs=1)
    assert not listener.hear(200)
    listener.receiver.stop(2000)
    assert listener.receiver.received == 100
    assert listener.receiver.max_gap_ms == pytest.approx(700, abs=1)


def test_silence_in_a_planned_move_is_the_moves_until_the_far_end_is_heard_on_the_new_path() -> None:
    listener, heard_again = Listener(), list[float]()
    receiver = listener.receiver
    for number in range(100):
        listener.hear(number)
    receiver.begin_move(heard_again.append, planned=True)
    listener.hear(102)  # was under way on the old path: no end of the move
    assert receiver.moving
    receiver.on_path_validated(1005.0)
    listener.hear(302)
    assert (receiver.moving, len(heard_again)) == (False, 1)
    assert receiver.move_gap_ms == pytest.approx(4000, abs=1)
    assert receiver.max_gap_ms == pytest.approx(20, abs=0.01)
    listener.hear(352)
    assert receiver.max_gap_ms == pytest.approx(1000, abs=1), "what comes after is a gap again"


def test_silence_in_a_move_that_nobody_planned_or_that_never_ends_is_a_gap() -> None:
    for planned in (False, True):
        listener = Listener()
        for number in range(100):
            listener.hear(number)
        listener.receiver.begin_move(lambda _now_s: None, planned=planned)
        if not planned:
            listener.receiver.on_path_validated(1003.0)
            listener.hear(249)
        listener.receiver.stop(1000 + 99 * 0.02 + 0.04 + 3.0)
        assert listener.receiver.max_gap_ms == pytest.approx(3000, abs=1)


def test_who_expects_nothing_is_at_once_through_with_a_move() -> None:
    listener, heard_again = Listener(), list[float]()
    listener.hear(0)
    listener.receiver.expect(False, 1000.1, 1000.1)
    listener.receiver.begin_move(heard_again.append, planned=True)
    listener.receiver.on_path_validated(1002.0)
    assert heard_again == [1002.0]


def test_after_a_hold_silence_counts_from_when_the_far_end_can_begin() -> None:
    listener = Listener()
    for number in range(100):
        listener.hear(number)
    listener.receiver.expect(False, 1002.0, 1002.0)
    listener.receiver.expect(True, 1010.0, 1012.5)  # a round trip of 2.5 s: our answer, and the first packet
    listener.hear(630)
    assert listener.receiver.max_gap_ms == pytest.approx(140, abs=1)


def test_windows_split_loss_and_say_how_bursty_it_was() -> None:
    listener = Listener()
    single = set(range(10, 240, 10))
    burst = set(range(300, 320)) | set(range(400, 420))
    for number in range(500):
        if number not in single | burst:
            listener.hear(number)
    listener.receiver.stop(1010.04)
    first, second = listener.receiver.windows()
    assert (first.lost, second.lost) == (23, 40)
    assert first.expected == pytest.approx(250, abs=1)
    assert first.effective_loss_ratio == pytest.approx(23 / 250, abs=0.003)
    assert first.burst_ratio == 1.0
    assert second.burst_ratio == pytest.approx(20 * (1 - 40 / 250), rel=0.02)
    assert first.owd_ms == pytest.approx(40, abs=0.1)
    assert first.audio_kbit == pytest.approx(60 * 8 / 20), "the codec's rate, whatever was lost"


def test_a_window_of_silence_is_wholly_lost_and_not_counted_twice() -> None:
    listener = Listener()
    for number in [*range(250), *range(1000, 1250)]:
        listener.hear(number)
    listener.receiver.stop(1025.04)
    windows = listener.receiver.windows()
    assert [window.received for window in windows] == [250, 0, 0, 0, 250]
    assert sum(window.lost for window in windows) == 750
    assert listener.receiver.lost == 750
    assert windows[1].effective_loss_ratio == 1.0


def test_reports_cover_the_interval_since_the_last_one() -> None:
    listener = Listener()
    assert listener.receiver.report(0, 0) is None
    for number in range(100):
        listener.hear(number)
    first = listener.receiver.report(0, 0)
    for number in range(100, 200, 2):
        listener.hear(number)
    second = listener.receiver.report(3, 0.5)
    assert first is not None
    assert second is not None
    assert first.fraction_lost == 0
    assert second.fraction_lost == pytest.approx(0.5, abs=0.02)
    assert second.packets_lost == 49
    assert (second.last_sr, second.delay_since_sr_s) == (3, 0.5)


def test_an_even_stream_needs_only_the_smallest_buffer() -> None:
    buffer = PlayoutBuffer()
    assert sum(buffer.offer(5000.0, 20) for _ in range(3000)) == 0
    assert buffer.delay_ms == pytest.approx(FLOOR_MS, abs=2)


def test_jitter_is_buffered_with_few_late_packets() -> None:
    buffer, rng = PlayoutBuffer(), random.Random(3)
    late = sum(buffer.offer(1000 + abs(rng.gauss(0, 25)), 20) for _ in range(3000))
    assert late / 3000 < 0.01
    assert 60 < buffer.delay_ms < 200


def test_a_stall_costs_as_much_audio_as_it_lasted_beyond_the_buffer() -> None:
    buffer = PlayoutBuffer()
    for _ in range(500):
        buffer.offer(1000.0, 20)
    had_ms = buffer.delay_ms
    late = sum(buffer.offer(1000.0 + 400 - 20 * number, 20) for number in range(20))
    assert late == pytest.approx((400 - had_ms) / 20, abs=0.5)
    for _ in range(3000):
        buffer.offer(1000.0, 20)
    assert buffer.delay_ms < 200


def test_beyond_the_ceiling_each_packet_is_thrown_away_once() -> None:
    buffer = PlayoutBuffer()
    buffer.offer(0.0, 20)
    buffer.offer(CEILING_MS + 500, 20)
    assert [buffer.offer(CEILING_MS + 500, 20) for _ in range(3)] == [1.0, 1.0, 1.0]
    assert buffer.delay_ms == CEILING_MS

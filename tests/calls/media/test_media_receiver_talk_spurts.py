"""Talk spurts after P.59: the model's averages, one conversation for two sides, and a receiver that knows silence."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import groupby

import pytest

from calls.media.audio.clips import audio_clip
from calls.media.audio.talk_spurts import COMFORT_S, LOOP_S, Conversation, SpurtSource
from calls.media.rtp.rtp_header import RtpHeader
from calls.media.rtp.rtp_receiver import AudioReceiver

STEP_S = 0.02


def talk(call_id: str, side: int) -> list[bool]:
    conversation = Conversation(call_id)
    return [conversation.talks(side, number * STEP_S) for number in range(int(LOOP_S / STEP_S))]


def runs_s(states: list[bool], state: bool) -> list[float]:
    return [len(list(group)) * STEP_S for value, group in groupby(states) if value is state]


def test_many_conversations_have_the_averages_of_p59() -> None:
    """200 conversations of 2 minutes; the table's own bounds would be wider than these 10 %."""
    caller = [talk(f"call-{number}", 0) for number in range(200)]
    callee = [talk(f"call-{number}", 1) for number in range(200)]
    every = [pair for one, other in zip(caller, callee, strict=True) for pair in zip(one, other, strict=True)]

    spurts = [spurt for states in caller for spurt in runs_s(states, True)]
    assert sum(spurts) / len(spurts) == pytest.approx(1.034, rel=0.1)
    assert sum(one for one, _ in every) / len(every) == pytest.approx(0.425, rel=0.1)
    assert sum(one and other for one, other in every) / len(every) == pytest.approx(0.074, rel=0.1)
    assert sum(not one and not other for one, other in every) / len(every) == pytest.approx(0.225, rel=0.1)


def test_the_call_decides_who_talks_when_and_nothing_else() -> None:
    assert talk("a", 0) == talk("a", 0)
    assert talk("a", 0) != talk("a", 1)
    assert talk("a", 0) != talk("b", 0)
    conversation = Conversation("a")
    assert conversation.talks(0, 3.0) == conversation.talks(0, 3.0 + 7 * LOOP_S)


class Pair:
    """A source of spurts that is heard through a link of 40 ms, or not at all when ``lost`` says so."""

    def __init__(self, lost: Callable[[float], bool] = lambda _at_s: False) -> None:
        self.clip = audio_clip(20, 24)
        self.source = SpurtSource(self.clip, 0, Conversation("spurts"), 0, lambda monotonic_s: monotonic_s)
        self.receiver = AudioReceiver(2, lambda _at_s: None)
        self.header = RtpHeader(payload_type=111, ssrc=5, abs_send_time_id=2, mid_id=4, mid="0")
        self.sent_at_s: list[float] = []
        self.markers = 0
        self._lost = lost

    def talk(self, seconds: float) -> None:
        buffer, sequence = bytearray(512), 0
        for frame in range(int(seconds / STEP_S)):
            at_s = LOOP_S + frame * STEP_S
            payload = self.source.payload(at_s)
            if not payload:
                continue
            self.sent_at_s.append(at_s)
            self.markers += self.source.starts_spurt
            self.header.write(buffer, sequence, frame * 960, self.source.starts_spurt, at_s)
            sequence += 1
            if not self._lost(at_s):
                self.receiver.on_packet(buffer, self.header.length + len(payload), len(payload), at_s + 0.04)
        self.receiver.stop(LOOP_S + seconds)


def test_a_silent_sender_sends_comfort_noise_every_400_ms_and_marks_each_spurt() -> None:
    pair = Pair()
    pair.talk(60)
    waits_s = [later - sooner for sooner, later in zip(pair.sent_at_s, pair.sent_at_s[1:], strict=False)]
    silences = runs_s(talk("spurts", 0)[:3000], False)

    assert max(waits_s) == pytest.approx(COMFORT_S, abs=1.1 * STEP_S)
    assert len(pair.sent_at_s) < 0.6 * 3000, "DTX saves packets"
    assert pair.markers == pytest.approx(len(silences), abs=1)
    assert len(silences) >= pair.receiver.spurts > 10


def test_silence_that_was_meant_is_no_gap_no_loss_and_keeps_the_codec_s_rate() -> None:
    pair = Pair()
    pair.talk(60)
    receiver = pair.receiver
    windows = receiver.windows()
    spoken_kbit = sum(map(len, pair.clip.payloads)) * 8 / (len(pair.clip.payloads) * 20)

    assert receiver.max_gap_ms < 100
    assert receiver.lost == 0
    assert receiver.jitter_ms == pytest.approx(0, abs=0.01)
    assert receiver.ptime_ms == 20
    for window in windows:
        assert window.audio_kbit == pytest.approx(spoken_kbit, rel=0.15)
        assert window.lost == 0
    assert 0.2 < sum(window.talk_ratio for window in windows) / len(windows) < 0.75


def test_an_outage_is_still_a_gap_when_it_falls_into_silence() -> None:
    pair = Pair(lost=lambda at_s: LOOP_S + 10 <= at_s < LOOP_S + 15)
    pair.talk(30)
    assert 4500 - 1000 * COMFORT_S < pair.receiver.max_gap_ms < 5500
    assert pair.receiver.lost > 20


def test_a_sender_whose_clock_jumps_cannot_hide_an_outage() -> None:
    receiver = AudioReceiver(2, lambda _at_s: None)
    header = RtpHeader(payload_type=111, ssrc=5, abs_send_time_id=2, mid_id=4, mid="0")
    buffer = bytearray(256)
    for sequence, at_s in enumerate([100.0, 100.02, 100.04, 106.04, 106.06]):
        header.write(buffer, sequence, round((at_s - 100) * 48_000), False, at_s)
        receiver.on_packet(buffer, header.length + 60, 60, at_s + 0.04)
    assert receiver.max_gap_ms == pytest.approx(6000 - 1000 * COMFORT_S, abs=1)


def test_a_clock_of_another_machine_is_estimated_to_half_the_round_trip() -> None:
    """True one-way delays 30 to 50 ms, a clock 21,000 s ahead, a round trip of 60 ms at best."""
    rng = random.Random(4)
    rtt_ms: list[float] = []
    receiver = AudioReceiver(2, lambda _at_s: None, foreign_rtt_ms=lambda: min(rtt_ms, default=None))
    header = RtpHeader(payload_type=111, ssrc=5, abs_send_time_id=2, mid_id=4, mid="0")
    buffer = bytearray(256)
    for number in range(4000):
        sent_s = 100 + number * 0.02
        if number == 50:
            rtt_ms.append(60.0)
        header.write(buffer, number & 0xFFFF, number * 960, False, sent_s + 21_000)
        receiver.on_packet(buffer, header.length + 60, 60, sent_s + 0.03 + rng.uniform(0, 0.02))
    assert receiver.owd.count == 3950, "nothing is told before the first round trip"
    median_ms = receiver.owd.quantile_ms(0.5)
    assert median_ms == pytest.approx(40, abs=1)
    assert receiver.owd.negative == 0

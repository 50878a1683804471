from __future__ import annotations

import math

import numpy as np
import pytest

from calls.media.audio.clips import OFFERED, audio_clip, choose
from calls.media.audio.opus import SAMPLE_RATE, OpusDecoder, OpusEncoder
from calls.media.audio.speech import LOOP_S, speech_pcm
from calls.media.probe.audio_probe import envelope, measure_likeness
from calls.media.video.video_clip import GROUP_FRAMES, video_clip


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ((20, 24), (20, 24)),
        ((20, 31), (20, 24)),
        ((20, 96), (20, 32)),
        ((10, 24), (20, 24)),
        ((60, 12), (60, 12)),
        ((60, 6), (60, 12)),
        ((120, 24), (60, 24)),
        ((30, 64), (40, 24)),
    ],
)
def test_the_richest_clip_within_the_wish_is_chosen(asked: tuple[int, int], chosen: tuple[int, int]) -> None:
    assert choose(*asked) == chosen


@pytest.mark.parametrize(("ptime_ms", "kbit"), OFFERED)
def test_a_clip_is_real_opus_of_its_length_and_rate(ptime_ms: int, kbit: int) -> None:
    clip = audio_clip(ptime_ms, kbit)
    decoder = OpusDecoder()
    samples = [len(decoder.decode(payload)) // 2 for payload in clip.payloads]
    decoder.close()
    assert set(samples) == {48 * ptime_ms}
    assert len(samples) * ptime_ms == pytest.approx(LOOP_S * 1000, abs=ptime_ms)
    rate_kbit = sum(map(len, clip.payloads)) * 8 / (len(clip.payloads) * ptime_ms)
    assert 0.6 * kbit < rate_kbit < 1.1 * kbit


def test_the_voice_has_the_rhythm_of_speech_and_is_the_same_every_time() -> None:
    pcm = speech_pcm()
    assert len(pcm) == 2 * LOOP_S * SAMPLE_RATE
    loudness = envelope(pcm)
    assert 0.1 < np.mean(loudness < 0.2 * loudness.max()) < 0.7
    speech_pcm.cache_clear()
    assert speech_pcm() == pcm
    assert speech_pcm(2) != pcm


def test_concealment_and_recovery_fill_exactly_the_hole() -> None:
    encoder, decoder = OpusEncoder(24, 20, fec=True), OpusDecoder()
    pcm = speech_pcm()
    frames = [encoder.encode(pcm[at : at + 1920]) for at in range(0, 1920 * 50, 1920)]
    for frame in frames[:40]:
        decoder.decode(frame)
    assert len(decoder.conceal(960)) == 1920
    assert len(decoder.recover(frames[42], 960)) == 1920
    assert len(decoder.decode(b"\xff" * 40)) == 1920
    with pytest.raises(ValueError, match="1920 bytes"):
        encoder.encode(b"short")
    for codec in (encoder, decoder):
        codec.close()
        codec.close()


@pytest.mark.parametrize("delay_ms", [0, 45, 500, 3210])
def test_the_judge_finds_the_delay_and_recognises_the_voice(delay_ms: int) -> None:
    said = envelope(speech_pcm())
    from_s = 1000.25
    shift = round((from_s - delay_ms / 1000) % LOOP_S * 400)
    heard = np.roll(said, -shift)[:1600] * 0.4
    score, found_ms = measure_likeness(heard, from_s, said)
    assert score == pytest.approx(1.0, abs=0.01)
    assert found_ms == pytest.approx(delay_ms, abs=2.6)


def test_the_worse_the_sound_the_lower_the_score() -> None:
    said = envelope(speech_pcm())
    rng = np.random.default_rng(1)
    scores = []
    for hole_share in (0.0, 0.1, 0.3, 0.6):
        heard = said[400:2000].copy()
        for frame in range(0, 1600, 24):
            if rng.random() < hole_share:
                heard[frame : frame + 24] = 0
        scores.append(measure_likeness(heard, 0.0, said)[0])
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.99
    assert scores[-1] < 0.7
    noise, _ = measure_likeness(np.abs(rng.standard_normal(1600)), 0.0, said)
    assert noise < 0.35
    assert measure_likeness(np.zeros(1600), 0.0, said) == (0.0, 0.0)


def test_the_video_clip_is_real_vp8_with_a_keyframe_every_second() -> None:
    import av

    clip = video_clip()
    assert [frame.keyframe for frame in clip] == [number % GROUP_FRAMES == 0 for number in range(len(clip))]
    decoder = av.CodecContext.create("vp8", "r")
    decoder.thread_count = 1
    pictures = 0
    for frame in clip:
        assert frame.payloads[0][0] == 0x10
        assert all(payload[0] == 0 for payload in frame.payloads[1:])
        encoded = b"".join(payload[1:] for payload in frame.payloads)
        for picture in decoder.decode(av.Packet(encoded)):
            assert (picture.width, picture.height) == (160, 120)
            pictures += 1
    assert pictures == len(clip)
    size = sum(len(payload) for frame in clip for payload in frame.payloads)
    assert math.isclose(size * 8 / 4 / 1000, 80, rel_tol=0.6)

"""A probe's ears on a clock that the test holds: likeness and delay with nothing left to chance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from held_time import START_S, HeldTicker

from calls.media.probe.audio_probe import LiveSource, ProbeListener

TARGET_MS = 40.0


async def listen(owd_ms: Callable[[int], float | None], *, seconds: float, ptime_ms: int = 20) -> ProbeListener:
    """Speaks for ``seconds``; packet ``n`` arrives ``owd_ms(n)`` after it was sent, or never for None."""
    ticker = HeldTicker()
    source = LiveSource(asyncio.get_running_loop(), ptime_ms, 24)
    listener = ProbeListener(ticker, lambda: TARGET_MS)
    for number in range(int(seconds * 1000 / ptime_ms)):
        due_s = START_S + number * ptime_ms / 1000
        payload, delay_ms = source.payload(due_s), owd_ms(number)
        await asyncio.sleep(0)
        if delay_ms is not None:

            def arrives(at_s: float, number: int = number, payload: bytes = payload) -> None:
                listener.packet((65_530 + number) & 0xFFFF, payload, float(ptime_ms), at_s)

            ticker.call_at(due_s + delay_ms / 1000, arrives)
        ticker.advance_to(due_s)
    ticker.advance_to(START_S + seconds)
    source.close()
    listener.close()
    return listener


@pytest.mark.parametrize("ptime_ms", [20, 60])
@pytest.mark.parametrize("owd_ms", [0.0, 150.0, 900.0])
async def test_mouth_to_ear_is_the_frame_the_way_and_the_buffer(owd_ms: float, ptime_ms: int) -> None:
    listener = await listen(lambda _: owd_ms, seconds=9.3, ptime_ms=ptime_ms)
    assert len(listener.scores) == 2
    assert listener.audio_score() == pytest.approx(1.0, abs=0.1)
    assert listener.mouth_to_ear_ms() == pytest.approx(ptime_ms + 6.5 + owd_ms + TARGET_MS, abs=8)


async def test_more_loss_sounds_worse() -> None:
    scores = []
    for loss_ratio in (0.0, 0.15, 0.6):
        rng = random.Random(2)
        listener = await listen(lambda _, r=rng, loss=loss_ratio: None if r.random() < loss else 60.0, seconds=9.0)
        score = listener.audio_score()
        assert score is not None
        scores.append(score)
        assert (listener.concealed_frames > 0) == (loss_ratio > 0)
    assert scores[0] > scores[1] > scores[2]
    assert scores[2] < 0.85


async def test_reordered_packets_are_played_in_order() -> None:
    listener = await listen(lambda number: 60.0 + (25.0 if number % 10 == 0 else 0.0), seconds=5.0)
    assert listener.concealed_frames == 0
    assert listener.audio_score() == pytest.approx(1.0, abs=0.1)


async def test_after_a_long_silence_the_delay_comes_down_again() -> None:
    listener = await listen(lambda number: None if 100 <= number < 200 else 50.0, seconds=16.0)
    assert listener.mouth_to_ear_ms() == pytest.approx(20 + 6.5 + 50 + TARGET_MS, abs=45)


async def test_too_little_heard_is_no_verdict() -> None:
    listener = await listen(lambda _: 50.0, seconds=1.5)
    assert listener.audio_score() is None
    assert listener.mouth_to_ear_ms() is None
    listener.close()


async def test_nothing_heard_is_no_verdict() -> None:
    listener = await listen(lambda _: None, seconds=5.0)
    assert listener.audio_score() is None

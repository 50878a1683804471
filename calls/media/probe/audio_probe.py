"""Runs tier ``media``: encodes speech, decodes what arrives, and measures likeness and delay.

Every process of the machine knows what is said at any time of the monotonic clock, because the voice repeats every
``LOOP_S`` seconds of that clock. So the lag of the received audio behind the spoken audio is the mouth-to-ear delay.
"""

from __future__ import annotations

import asyncio
import functools
import statistics
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from calls.media.audio.clips import choose
from calls.media.audio.opus import SAMPLE_RATE, OpusDecoder, OpusEncoder
from calls.media.audio.speech import LOOP_S, speech_pcm
from calls.media.probe.live_voice import live_voice
from calls.media.probe.recording import Recording
from calls.media.rtp_fields import sequence_step
from calls.media.timing.ticker import Ticker

_STEP = 120
"""Samples of one envelope value: 2.5 ms."""
_STEPS_A_S = SAMPLE_RATE // _STEP
_WINDOW_STEPS = 4 * _STEPS_A_S
"""Length of one measurement: short, so that the playout buffer hardly stretches within it, but long enough for a clear
peak."""
_SHORTEST_STEPS = 2 * _STEPS_A_S
_PLAUSIBLE_SCORE = 0.3
"""Below this likeness the peak of the correlation says nothing about the delay."""
_SURPLUS_FRAMES = 1

Envelope = npt.NDArray[np.float64]


def envelope(pcm: bytes) -> Envelope:
    """Returns the loudness of 16-bit samples in steps of 2.5 ms, compressed like hearing (square root of RMS)."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
    steps = len(samples) // _STEP
    return np.asarray(np.mean(samples[: steps * _STEP].reshape(steps, _STEP) ** 2, axis=1) ** 0.25)


def measure_likeness(heard: Envelope, heard_from_s: float, said: Envelope) -> tuple[float, float]:
    """Returns (likeness 0..1, delay in ms 0..LOOP_S) of what was played from ``heard_from_s`` on.

    The likeness is the peak of the normalised cross-correlation with the loop ``said``; silence counts as 0.
    """
    count, loop = len(heard), len(said)
    centred = heard - heard.mean()
    energy = float(np.sqrt(np.sum(centred**2)))
    if energy < 1e-6:
        return 0.0, 0.0
    spectrum = np.fft.rfft(said) * np.conj(np.fft.rfft(centred, loop))
    products = np.fft.irfft(spectrum, loop)
    doubled = np.concatenate([said, said])
    sums = np.concatenate([[0.0], np.cumsum(doubled)])
    squares = np.concatenate([[0.0], np.cumsum(doubled**2)])
    window_sum = sums[count : count + loop] - sums[:loop]
    spread = squares[count : count + loop] - squares[:loop] - window_sum**2 / count
    likeness = products / (energy * np.sqrt(np.maximum(spread, 1e-9)))
    best = int(np.argmax(likeness))
    said_at_s = best / _STEPS_A_S
    return float(np.clip(likeness[best], 0.0, 1.0)), (heard_from_s - said_at_s) % LOOP_S * 1000


@functools.cache
def voice_envelope(live: bool) -> Envelope:
    """Returns the loudness of what the far end repeats: the voice of probes, or that of the pre-encoded clips."""
    return envelope(live_voice().pcm if live else speech_pcm())


class LiveSource:
    """Encodes the voice live. The next frame is encoded after the last was sent, outside the critical tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ptime_ms: int, kbit: float) -> None:
        self.ptime_ms, self.kbit = choose(ptime_ms, kbit)
        self._loop = loop
        self._encoder = OpusEncoder(self.kbit, self.ptime_ms, fec=True)
        self._voice = live_voice().pcm * 2
        self._ready: tuple[float, bytes] | None = None
        self._closed = False

    def payload(self, due_s: float) -> bytes:
        """Returns the frame that was spoken in the ``ptime_ms`` before ``due_s``."""
        if self._ready is not None and abs(self._ready[0] - due_s) < 0.001:
            frame = self._ready[1]
        else:
            frame = self._encode(due_s)
        self._loop.call_soon(self._prepare, due_s + self.ptime_ms / 1000)
        return frame

    def close(self) -> None:
        """Frees the encoder. Safe to call twice."""
        self._closed = True
        self._encoder.close()

    def _prepare(self, due_s: float) -> None:
        if not self._closed:
            self._ready = (due_s, self._encode(due_s))

    def _encode(self, due_s: float) -> bytes:
        first = int((due_s - self.ptime_ms / 1000) % LOOP_S * SAMPLE_RATE)
        return self._encoder.encode(self._voice[2 * first : 2 * (first + self._encoder.frame_samples)])


class ProbeListener:
    """Plays the received audio on its own schedule, conceals losses, and measures windows of 4 s."""

    def __init__(self, ticker: Ticker, target_ms: Callable[[], float], *, live: bool = True) -> None:
        """``live``: the far end is a probe, too; otherwise it sends the pre-encoded clips."""
        self._ticker = ticker
        self._target_ms = target_ms
        self._decoder = OpusDecoder()
        self._said = voice_envelope(live)
        self._waiting: dict[int, bytes] = {}
        self._expected: int | None = None
        self._highest = 0
        self._ptime_ms = 20.0
        self._played: list[Envelope] = []
        self._played_steps = 0
        self._played_from_s = 0.0
        self._closed = False
        self.recording = Recording()
        self.scores: list[float] = []
        self.delays_ms: list[float] = []
        self.concealed_frames = 0

    def packet(self, sequence: int, payload: bytes, ptime_ms: float, now_s: float) -> None:
        """Takes one packet, in any order."""
        if self._closed:
            return
        if self._expected is None:
            self._expected = self._highest = sequence
            self._played_from_s = now_s + self._target_ms() / 1000
            self._ticker.call_at(self._played_from_s, self._play)
        number = self._highest + sequence_step(sequence, self._highest)
        self._highest = max(self._highest, number)
        self._ptime_ms = ptime_ms
        if number >= self._expected:
            self._waiting[number] = payload

    def audio_score(self) -> float | None:
        """Returns the mean likeness of all windows; None before the first."""
        return statistics.fmean(self.scores) if self.scores else None

    def mouth_to_ear_ms(self) -> float | None:
        """Returns the median delay of the windows that resembled the voice."""
        return statistics.median(self.delays_ms) if self.delays_ms else None

    def close(self) -> None:
        """Measures the rest and frees the decoder. Safe to call twice."""
        if not self._closed:
            self._closed = True
            if self._played_steps >= _SHORTEST_STEPS:
                self._measure_window()
            self._decoder.close()

    def _play(self, due_s: float) -> None:
        if self._closed or self._expected is None:
            return
        samples = int(48 * self._ptime_ms)
        pcm = self._next_frame(self._expected, samples)
        self.recording.add(pcm, due_s)
        loudness = envelope(pcm)
        self._played.append(loudness)
        self._played_steps += len(loudness)
        if self._played_steps >= _WINDOW_STEPS:
            self._measure_window()
        self._ticker.call_at(due_s + self._ptime_ms / 1000, self._play)

    def _next_frame(self, expected: int, samples: int) -> bytes:
        surplus_ms = len(self._waiting) * self._ptime_ms - self._target_ms()
        if surplus_ms > _SURPLUS_FRAMES * self._ptime_ms and expected in self._waiting:
            # Too many frames wait: one is decoded and not played, to catch up.
            self._decoder.decode(self._waiting.pop(expected))
            expected += 1
        payload = self._waiting.pop(expected, None)
        if payload is not None:
            self._expected = expected + 1
            return self._decoder.decode(payload)
        if self._waiting and surplus_ms > _SURPLUS_FRAMES * self._ptime_ms:
            # A long gap with many frames behind it: skip the gap instead of concealing all of it.
            expected = min(self._waiting)
            self._expected = expected + 1
            return self._decoder.decode(self._waiting.pop(expected))
        self.concealed_frames += 1
        if not self._waiting:
            # No frame has arrived: stretch the voice; a frame that arrives late is still played.
            self._expected = expected
            return self._decoder.conceal(samples)
        self._expected = expected + 1
        following = self._waiting.get(expected + 1)
        return self._decoder.recover(following, samples) if following else self._decoder.conceal(samples)

    def _measure_window(self) -> None:
        heard = np.concatenate(self._played)
        score, delay_ms = measure_likeness(heard, self._played_from_s, self._said)
        self.scores.append(score)
        if score >= _PLAUSIBLE_SCORE:
            self.delays_ms.append(delay_ms)
        self._played_from_s += len(heard) / _STEPS_A_S
        self._played.clear()
        self._played_steps = 0

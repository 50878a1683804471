"""A voice that both ends know by heart: speech-like sound, computed from a seed, the same in every process.

Pulses at a gliding pitch through three formants that change with each syllable (about four a second, as in speech),
unvoiced bursts, and pauses between phrases: the spectrum, the rhythm and the crest that a speech codec expects.
"""

from __future__ import annotations

import functools
import random

import numpy as np
import numpy.typing as npt

from calls.media.opus import SAMPLE_RATE

LOOP_S = 8
"""The voice repeats after this long: longer than any delay that the correlation must tell apart."""
_RATE = 16_000
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""Formants in Hz after Peterson and Barney, "Control methods used in a study of the vowels" (JASA 1952)."""


@functools.cache
def speech_pcm(seed: int = 1) -> bytes:
    """Returns LOOP_S seconds of 16-bit mono samples at 48 kHz."""
    from scipy.signal import resample_poly

    rng = random.Random(seed)
    pieces: list[npt.NDArray[np.float64]] = []
    left = LOOP_S * _RATE
    while left > 0:
        piece = _phrase(rng) if rng.random() < 0.8 or not pieces else np.zeros(int(_RATE * rng.uniform(0.15, 0.45)))
        pieces.append(piece[:left])
        left -= len(pieces[-1])
    voice = resample_poly(np.concatenate(pieces), SAMPLE_RATE // _RATE, 1)
    voice *= 0.5 * 32767 / np.max(np.abs(voice))
    return bytes(voice.astype("<i2").tobytes())


def _phrase(rng: random.Random) -> npt.NDArray[np.float64]:
    pitch_hz = rng.uniform(95, 220)
    syllables = [_syllable(rng, pitch_hz * rng.uniform(0.85, 1.15)) for _ in range(rng.randint(2, 5))]
    return np.concatenate([*syllables, np.zeros(int(_RATE * rng.uniform(0.05, 0.2)))])


def _syllable(rng: random.Random, pitch_hz: float) -> npt.NDArray[np.float64]:
    from scipy.signal import lfilter

    voiced_n = int(_RATE * rng.uniform(0.12, 0.26))
    time_s = np.arange(voiced_n) / _RATE
    phase = np.cumsum(pitch_hz * (1 + 0.06 * np.sin(2 * np.pi * 5 * time_s)) / _RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    sound = lfilter([1.0], [1.0, -0.95], pulses)
    for formant_hz, width_hz in zip(rng.choice(_VOWELS), (80, 110, 160), strict=True):
        radius = float(np.exp(-np.pi * width_hz / _RATE))
        sound = lfilter(
            [1 - radius], [1.0, -2 * radius * np.cos(2 * np.pi * formant_hz / _RATE), radius * radius], sound
        )
    sound = sound / (np.max(np.abs(sound)) + 1e-9) * np.sin(np.pi * np.arange(voiced_n) / voiced_n) ** 0.6
    noise_n = int(_RATE * rng.uniform(0.02, 0.08))
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(noise_n)
    burst = lfilter([1.0, -0.9], [1.0], noise) * np.hanning(noise_n) * 0.08
    return np.concatenate([burst, sound * rng.uniform(0.5, 1.0)])

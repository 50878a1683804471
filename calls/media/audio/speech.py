"""Generates speech-like sound from a seed, the same in every process, so that both ends know what is said.

It has pulses at a gliding pitch through three formants that change with each syllable (about four a second, as in
speech), unvoiced bursts, and pauses between phrases. Spectrum, rhythm and crest factor are those that a speech codec
expects.
"""

from __future__ import annotations

import functools
import random

import numpy as np
import numpy.typing as npt

from calls.media.audio.opus import SAMPLE_RATE

LOOP_S = 8
"""The voice repeats after this time, which is longer than any delay that the correlation must distinguish."""
_RATE = 16_000
_WIDTHS_HZ = (80, 110, 160)
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""Formants in Hz after Peterson and Barney, "Control methods used in a study of the vowels" (JASA 1952)."""

Sound = npt.NDArray[np.float64]


@functools.cache
def speech_pcm(seed: int = 1) -> bytes:
    """Returns LOOP_S seconds of 16-bit mono samples at 48 kHz."""
    rng = random.Random(seed)
    pieces: list[Sound] = []
    left = LOOP_S * _RATE
    while left > 0:
        piece = _phrase(rng) if rng.random() < 0.8 or not pieces else np.zeros(int(_RATE * rng.uniform(0.15, 0.45)))
        pieces.append(piece[:left])
        left -= len(pieces[-1])
    voice = _resample(np.concatenate(pieces))
    voice *= 0.5 * 32767 / np.max(np.abs(voice))
    return bytes(voice.astype("<i2").tobytes())


def _phrase(rng: random.Random) -> Sound:
    pitch_hz = rng.uniform(95, 220)
    syllables = [_syllable(rng, pitch_hz * rng.uniform(0.85, 1.15)) for _ in range(rng.randint(2, 5))]
    return np.concatenate([*syllables, np.zeros(int(_RATE * rng.uniform(0.05, 0.2)))])


def _syllable(rng: random.Random, pitch_hz: float) -> Sound:
    voiced_n = int(_RATE * rng.uniform(0.12, 0.26))
    time_s = np.arange(voiced_n) / _RATE
    phase = np.cumsum(pitch_hz * (1 + 0.06 * np.sin(2 * np.pi * 5 * time_s)) / _RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    sound = _vocal_tract(pulses, rng.choice(_VOWELS))
    sound = sound / (np.max(np.abs(sound)) + 1e-9) * np.sin(np.pi * np.arange(voiced_n) / voiced_n) ** 0.6
    noise_n = int(_RATE * rng.uniform(0.02, 0.08))
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(noise_n)
    burst = np.diff(noise, prepend=0.0) * np.hanning(noise_n) * 0.08
    return np.concatenate([burst, sound * rng.uniform(0.5, 1.0)])


def _vocal_tract(pulses: Sound, formants_hz: tuple[int, int, int]) -> Sound:
    """Applies the glottis's slope and three resonances to the pulses, in the frequency domain."""
    padded = 2 * len(pulses)
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(padded))
    response = 1.0 / (1 - 0.95 * z)
    for formant_hz, width_hz in zip(formants_hz, _WIDTHS_HZ, strict=True):
        radius = np.exp(-np.pi * width_hz / _RATE)
        response *= (1 - radius) / (
            1 - 2 * radius * np.cos(2 * np.pi * formant_hz / _RATE) * z + radius * radius * z * z
        )
    return np.asarray(np.fft.irfft(np.fft.rfft(pulses, padded) * response, padded)[: len(pulses)])


def _resample(sound: Sound) -> Sound:
    """Converts 16 kHz to 48 kHz by padding the spectrum."""
    factor = SAMPLE_RATE // _RATE
    return np.asarray(np.fft.irfft(np.fft.rfft(sound), factor * len(sound)) * factor)

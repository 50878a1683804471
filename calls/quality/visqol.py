"""Scores received audio against the original with ViSQOL in speech mode, by the visqol-python package.

Speech mode compares 16 kHz spectrograms, so it ignores everything above 8 kHz: a full-band and a wideband codec sound
the same to it. Similarity becomes MOS by the exponential fit of ViSQOL's own speech mapper, scaled to reach 5. Newer
versions prefer a lattice network, which needs a TensorFlow runtime and is left out. So compare these figures with each
other, not with scores of that mapper. One score costs about 0.3 s of CPU per second of speech.
"""

from __future__ import annotations

import functools
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 16_000
"""Samples per second in speech mode."""
MODE = "speech"
_DOWN = 48_000 // RATE
_SEARCH_FRAMES = 20
"""How far around its place a patch is searched: both signals are aligned before."""

Sound = npt.NDArray[np.float64]


def measure_name() -> str:
    """Returns the name and version of the measure, for the record."""
    return f"visqol-{MODE}-{version('visqol-python')}"


def visqol_mos(said: Sound, heard: Sound) -> float:
    """Returns MOS-LQ, 1..5, of ``heard`` against ``said``: samples of -1..1 at ``RATE``, roughly aligned.

    Raises ValueError when there is nothing to compare: an empty signal, or digital silence.
    """
    if not len(said) or not len(heard) or not np.any(said) or not np.any(heard):
        raise ValueError("nothing to compare: a signal is empty or silent")
    return float(_api().measure_from_arrays(said, _as_loud_as(heard, said), RATE).moslqo)


def from_48_khz(pcm: bytes) -> Sound:
    """Converts 16-bit mono samples at 48 kHz for ViSQOL; removes everything above 8 kHz in the spectrum."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768
    count = len(samples) // _DOWN
    low = np.fft.rfft(samples[: count * _DOWN])[: count // 2 + 1]
    return np.asarray(np.fft.irfft(low, count) / _DOWN)


def _as_loud_as(sound: Sound, other: Sound) -> Sound:
    """Loudness is not scored: telephones have a volume control."""
    return np.asarray(sound * np.sqrt(np.mean(other**2) / np.mean(sound**2)))


@functools.cache
def _api() -> Any:
    from visqol.api import VisqolApi

    api = VisqolApi()
    api.create(mode=MODE, use_lattice_model=False, search_window=_SEARCH_FRAMES)
    return api

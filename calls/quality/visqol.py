"""ViSQOL in speech mode: MOS of what was heard against what was said, by the visqol-python package.

Speech mode compares 16 kHz spectrograms, so it hears nothing above 8 kHz: a full-band codec and a wideband one sound
the same to it. Its similarity becomes MOS by the exponential fit of ViSQOL's own speech mapper, scaled to reach 5;
the lattice network that newer versions prefer needs a TensorFlow runtime and is left out, so figures compare with
each other and not with scores of that mapper. One score costs some 0.3 s of CPU for each second of speech.
"""

from __future__ import annotations

import functools
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 16_000
"""Samples a second that speech mode takes."""
MODE = "speech"
_DOWN = 48_000 // RATE
_SEARCH_FRAMES = 20
"""How far a patch is looked for around its place: both signals are aligned before they come here."""

Sound = npt.NDArray[np.float64]


def measure_name() -> str:
    """Returns what scored, with its version, for the record."""
    return f"visqol-{MODE}-{version('visqol-python')}"


def visqol_mos(said: Sound, heard: Sound) -> float:
    """Returns MOS-LQ, 1..5, of ``heard`` against ``said``: samples of -1..1 at ``RATE``, roughly aligned.

    Raises ValueError when there is nothing to compare: an empty signal, or one of digital silence.
    """
    if not len(said) or not len(heard) or not np.any(said) or not np.any(heard):
        raise ValueError("nothing to compare: a signal is empty or silent")
    return float(_api().measure_from_arrays(said, _as_loud_as(heard, said), RATE).moslqo)


def from_48_khz(pcm: bytes) -> Sound:
    """Returns 16-bit mono samples at 48 kHz as ViSQOL takes them; what lies above 8 kHz is cut off in the spectrum."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768
    count = len(samples) // _DOWN
    low = np.fft.rfft(samples[: count * _DOWN])[: count // 2 + 1]
    return np.asarray(np.fft.irfft(low, count) / _DOWN)


def _as_loud_as(sound: Sound, other: Sound) -> Sound:
    """Loudness is not judged: telephones have a volume control."""
    return np.asarray(sound * np.sqrt(np.mean(other**2) / np.mean(sound**2)))


@functools.cache
def _api() -> Any:
    from visqol.api import VisqolApi

    api = VisqolApi()
    api.create(mode=MODE, use_lattice_model=False, search_window=_SEARCH_FRAMES)
    return api

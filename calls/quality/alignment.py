"""Measures how much later audio arrived than it was said: generalised cross-correlation with phase transform
(GCC-PHAT).

C. Knapp, G. Carter, "The generalized correlation method for estimation of time delay", IEEE Trans. ASSP 24(4), 1976. It
uses windows of one second. A playout buffer stretches time, so the peak would smear over a whole call.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WINDOW_S = 1.0
_LONGEST_OFF_S = 0.25
"""How far a window may be from the coarse delay: more than a playout buffer moves within one segment."""
_BAND_HZ = (200.0, 3800.0)
"""In this band every mode of a speech codec keeps the phase."""
_LOUD = 0.05
"""A window quieter than this share of the loudest one has no speech to measure."""
_CLEAR = 6.0
"""A peak counts when it is this many standard deviations above the rest of the correlation."""

Sound = npt.NDArray[np.float64]


def gcc_phat(said: Sound, heard: Sound, rate: int, longest_s: float) -> tuple[float, float]:
    """Returns (lag in seconds of ``heard`` after ``said``, clearness of the peak), with |lag| <= ``longest_s``.

    Both have the same length. Clearness is the peak over the standard deviation of the correlation; 0 for silence.
    """
    count = 2 * len(said)
    cross = np.fft.rfft(heard, count) * np.conj(np.fft.rfft(said, count))
    frequencies = np.fft.rfftfreq(count, 1 / rate)
    size = np.abs(cross)
    used = (frequencies >= _BAND_HZ[0]) & (frequencies <= _BAND_HZ[1]) & (size > 1e-12)
    if not np.any(used):
        return 0.0, 0.0
    phases = np.zeros_like(cross)
    phases[used] = cross[used] / size[used]
    correlation = np.fft.irfft(phases, count)
    reach = min(int(longest_s * rate), len(said) - 1)
    around = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
    best = int(np.argmax(around))
    return (best - reach) / rate, float(around[best] / (np.std(around) + 1e-15))


def window_delays_ms(said: Sound, heard: Sound, rate: int) -> list[float]:
    """Returns the lag in ms of each loud second of ``heard`` after ``said``, without windows that have no clear peak.

    ``said`` must already be aligned within 0.25 s.
    """
    step = int(WINDOW_S * rate)
    starts = range(0, min(len(said), len(heard)) - step + 1, step)
    loudness = [float(np.sqrt(np.mean(heard[start : start + step] ** 2))) for start in starts]
    loudest = max(loudness, default=0.0)
    delays = []
    for start, loud in zip(starts, loudness, strict=True):
        if loud <= _LOUD * loudest:
            continue
        lag_s, clear = gcc_phat(said[start : start + step], heard[start : start + step], rate, _LONGEST_OFF_S)
        if clear >= _CLEAR:
            delays.append(lag_s * 1000)
    return delays

"""The full-band E-model, ITU-T G.107.2 (03/2023): from impairments to R, from R to MOS.

R reaches 148 on this scale. Figures of G.107 (up to 93.2) and G.107.1 (up to 129) are on other scales. Never average,
plot or compare them with these.
"""

from __future__ import annotations

import math

SCALE = "G.107.2"
RO_FULL_BAND = 148.0
"""Basic signal-to-noise ratio of a full-band connection without impairment."""
_IE_CEILING = 132.0
_FULL_BAND_OVER_NARROW_BAND = 1.48
_DELAY_KNEE_MS = 100.0
"""mT of G.107: a shorter delay is not noticed."""
_DELAY_SENSITIVITY = 1.0
"""sT of G.107: the default class of talkers."""


def effective_impairment(ie: float, bpl: float, loss_ratio: float) -> float:
    """Returns Ie,eff of an impairment ``ie`` and a robustness ``bpl`` under ``loss_ratio`` (0..1) of lost packets.

    G.107.2 has no BurstR: ``bpl`` must be the one for random or for bursty loss, as the case is.
    """
    loss_percent = 100.0 * min(1.0, max(0.0, loss_ratio))
    return ie + max(0.0, _IE_CEILING - ie) * loss_percent / (loss_percent + bpl)


def delay_impairment(mouth_to_ear_ms: float) -> float:
    """Returns Id of an absolute one-way delay without echo: Idd of G.107, scaled to full band."""
    if mouth_to_ear_ms <= _DELAY_KNEE_MS:
        return 0.0
    x = math.log2(mouth_to_ear_ms / _DELAY_KNEE_MS)
    power = 6.0 * _DELAY_SENSITIVITY
    idd: float = 25.0 * ((1 + x**power) ** (1 / power) - 3 * (1 + (x / 3) ** power) ** (1 / power) + 2)
    return _FULL_BAND_OVER_NARROW_BAND * idd


def rating(ie_effective: float, delay: float = 0.0) -> float:
    """Returns R on the full-band scale, 0..148; ``delay`` is Id, 0 for listening quality."""
    return min(RO_FULL_BAND, max(0.0, RO_FULL_BAND - delay - ie_effective))


def mos_of_rating(r_full_band: float) -> float:
    """Returns MOS, 1..4.5, of a full-band R: Annex B of G.107 at R / 1.48."""
    r = r_full_band / _FULL_BAND_OVER_NARROW_BAND
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    # The cubic of Annex B dips just under 1 for R below 6.5.
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)

"""The quality of a call: every window scored by itself, then the median and the worst of them.

A call's mean would let ten bad seconds vanish in a good minute; the distribution over windows keeps them.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from calls.quality import emodel, opus

MODEL = f"{emodel.SCALE}/{opus.model_name()}"


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener heard in one window."""

    loss_ratio: float
    """Effective: lost, or late for the playout buffer."""
    burst_ratio: float
    """BurstR of G.107; 1 for random loss."""
    kbit: float
    """Opus payload rate while talking. Under DTX hold the last one."""
    ptime_ms: float
    mouth_to_ear_ms: float | None
    """None when the one-way delay is unknown: then there is no conversational score."""
    bandwidth: str = ""
    """Audio bandwidth of the encoder, ``nb``, ``wb`` or ``swb``: it follows the target rate, which variable-rate
    speech stays below. Empty to go by ``kbit``."""


@dataclass(frozen=True, slots=True)
class Score:
    """MOS of one window on the full-band scale of G.107.2."""

    mos_lq: float
    """Listening: no delay."""
    mos_cq: float | None
    """Conversational: with the delay."""
    r_lq: float
    """The rating behind ``mos_lq``, 0..148."""
    basis: opus.Basis

    @property
    def grounded(self) -> bool:
        """The parameters cover what was heard: published, or confirmed by our own calibration."""
        return self.basis is not opus.Basis.EXTRAPOLATED


@dataclass(frozen=True, slots=True)
class CallScore:
    """MOS of one side of a call over its windows. ``worst`` is the lowest window."""

    mos_lq: float
    mos_lq_worst: float
    mos_cq: float | None
    mos_cq_worst: float | None
    basis: opus.Basis
    """The weakest of its windows'."""
    model: str

    @property
    def grounded(self) -> bool:
        """Every window was."""
        return self.basis is not opus.Basis.EXTRAPOLATED


def score_window(heard: Heard, mode: str = "vbr") -> Score:
    """Returns the scores of one window."""
    found = opus.impairment(
        heard.kbit,
        ptime_ms=heard.ptime_ms,
        bursty=opus.is_bursty(heard.burst_ratio),
        bandwidth=heard.bandwidth,
        mode=mode,
    )
    ie_effective = emodel.effective_impairment(found.ie, found.bpl, heard.loss_ratio)
    mos_cq = None
    if heard.mouth_to_ear_ms is not None:
        delay = emodel.delay_impairment(heard.mouth_to_ear_ms)
        mos_cq = emodel.mos_of_rating(emodel.rating(ie_effective, delay))
    r_lq = emodel.rating(ie_effective)
    return Score(emodel.mos_of_rating(r_lq), mos_cq, r_lq, found.basis)


def score_call(windows: Sequence[Heard], mode: str = "vbr") -> CallScore | None:
    """Returns the scores of a whole call, None when nothing was heard."""
    if not windows:
        return None
    scores = [score_window(window, mode) for window in windows]
    lq = [score.mos_lq for score in scores]
    cq = [score.mos_cq for score in scores if score.mos_cq is not None]
    return CallScore(
        mos_lq=statistics.median(lq),
        mos_lq_worst=min(lq),
        mos_cq=statistics.median(cq) if cq else None,
        mos_cq_worst=min(cq) if cq else None,
        basis=max((score.basis for score in scores), key=opus.BASES.index),
        model=MODEL,
    )

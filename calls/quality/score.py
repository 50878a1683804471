"""Scores a call: every window by itself, then the median and the worst window.

The mean of a call would hide ten bad seconds in a good minute. The distribution over windows shows them.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from calls.quality import emodel, opus

MODEL = f"{emodel.SCALE}/{opus.model_name()}"


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener received in one window."""

    loss_ratio: float
    """Effective loss: lost, or too late for the playout buffer."""
    burst_ratio: float
    """BurstR of G.107; 1 for random loss."""
    kbit: float
    """Opus payload rate while talking. Under DTX keep the last one."""
    ptime_ms: float
    mouth_to_ear_ms: float | None
    """None when the one-way delay is unknown; then there is no conversational score."""
    bandwidth: str = ""
    """Audio bandwidth of the encoder, ``nb``, ``wb`` or ``swb``. It follows the target rate; variable-rate speech stays
    below that rate. Empty: derived from ``kbit``."""


@dataclass(frozen=True, slots=True)
class Score:
    """MOS of one window on the full-band scale of G.107.2."""

    mos_lq: float
    """Listening quality: without delay."""
    mos_cq: float | None
    """Conversational quality: with delay."""
    r_lq: float
    """The R that ``mos_lq`` comes from, 0..148."""
    basis: opus.Basis

    @property
    def grounded(self) -> bool:
        """Whether the parameters cover this window: published, or confirmed by our own calibration."""
        return self.basis is not opus.Basis.EXTRAPOLATED


@dataclass(frozen=True, slots=True)
class CallScore:
    """MOS of one side of a call over its windows. ``worst`` is the lowest window."""

    mos_lq: float
    mos_lq_worst: float
    mos_cq: float | None
    mos_cq_worst: float | None
    basis: opus.Basis
    """The weakest basis of its windows."""
    model: str

    @property
    def grounded(self) -> bool:
        """Whether every window is grounded."""
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
    """Returns the scores of a whole call; None without a window."""
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

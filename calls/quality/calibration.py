"""Compares E-model and ViSQOL on the same damage: ``python -m calls.quality.calibration`` prints the table.

Real speech is encoded, packets are dropped by a seeded random source, and the rest is decoded with concealment, as in a
phone. ViSQOL compares output with input; the E-model gets only the counters. Their scales differ, so the order must
agree: both must rank two calls in the same way.

The same sweep calibrates what no table publishes: frames of 40 and 60 ms, and wideband at 12 kbit/s. A line fitted over
the published cases converts ViSQOL's MOS to the E-model's R. Applied to the other cases, it gives their Ie and Bpl.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from calls.media.audio.opus import SAMPLE_RATE, OpusDecoder, OpusEncoder
from calls.media.probe.live_voice import LiveVoice, live_voice
from calls.quality import visqol
from calls.quality.opus import bandwidth_of
from calls.quality.score import MODEL, Heard, score_window
from calls.quality.visqol import from_48_khz, visqol_mos

LOSSES = (0.0, 0.01, 0.03, 0.05, 0.10)
RATES_KBIT = (12, 24, 32)
UNPUBLISHED = ((40, 24), (40, 16), (60, 24), (60, 16), (60, 12))
"""(ptime_ms, kbit) that the product really sends and that no table covers."""


@dataclass(frozen=True, slots=True)
class CalibrationPoint:
    """One case of the sweep, the mean over its seeds."""

    ptime_ms: int
    kbit: int
    """The encoder's target."""
    loss_ratio: float
    """The requested loss."""
    lost_ratio: float
    """The actual loss."""
    heard_kbit: float
    emodel_mos: float
    visqol_mos: float
    grounded: bool


def lossy(voice: LiveVoice, ptime_ms: int, kbit: int, lost: Sequence[bool]) -> tuple[bytes, float]:
    """Returns (samples heard at 48 kHz, payload rate in kbit/s) when the frames marked in ``lost`` are dropped."""
    encoder, decoder = OpusEncoder(kbit, ptime_ms), OpusDecoder()
    step = 2 * encoder.frame_samples
    try:
        frames = [encoder.encode(voice.pcm[at : at + step]) for at in range(0, len(voice.pcm) - step + 1, step)]
        heard = [
            decoder.conceal(encoder.frame_samples) if gone else decoder.decode(frame)
            for frame, gone in zip(frames, itertools.cycle(lost), strict=False)
        ]
    finally:
        encoder.close()
        decoder.close()
    return b"".join(heard), sum(map(len, frames)) * 8 / (len(frames) * ptime_ms)


def lossless_frames(voice: LiveVoice, ptime_ms: int) -> int:
    """Returns the number of whole frames in the voice."""
    return len(voice.pcm) // 2 // (SAMPLE_RATE // 1000 * ptime_ms)


def measure(voice: LiveVoice, ptime_ms: int, kbit: int, loss_ratio: float, seeds: Iterable[int]) -> CalibrationPoint:
    """Returns one point: the same lost frames scored by both."""
    said = from_48_khz(voice.pcm)
    count = lossless_frames(voice, ptime_ms)
    by_emodel, by_visqol, ratios, rates, grounded = [], [], [], [], True
    for seed in seeds:
        lost = _lost(count, loss_ratio, random.Random(f"{seed}/{ptime_ms}/{kbit}/{loss_ratio}"))
        heard, heard_kbit = lossy(voice, ptime_ms, kbit, lost)
        lost_ratio = sum(lost) / count
        score = score_window(Heard(lost_ratio, 1.0, heard_kbit, ptime_ms, None, bandwidth_of(kbit)))
        by_emodel.append(score.mos_lq)
        by_visqol.append(visqol_mos(said[: len(heard) // 2 * visqol.RATE // SAMPLE_RATE], from_48_khz(heard)))
        ratios.append(lost_ratio)
        rates.append(heard_kbit)
        grounded = grounded and score.grounded
        if not loss_ratio:
            break
    return CalibrationPoint(
        ptime_ms, kbit, loss_ratio, _mean(ratios), _mean(rates), _mean(by_emodel), _mean(by_visqol), grounded
    )


def sweep(
    voice: LiveVoice, cases: Iterable[tuple[int, int]], losses: Sequence[float], seeds: Sequence[int]
) -> list[CalibrationPoint]:
    """Returns every (ptime_ms, kbit) of ``cases`` at every loss."""
    return [measure(voice, ptime_ms, kbit, loss, seeds) for ptime_ms, kbit in cases for loss in losses]


def rank_agreement(points: Sequence[CalibrationPoint]) -> tuple[float, float]:
    """Returns (Spearman's rho, Kendall's tau-b) between the two MOS."""
    from scipy.stats import kendalltau, spearmanr

    first = [point.emodel_mos for point in points]
    second = [point.visqol_mos for point in points]
    return float(spearmanr(first, second).statistic), float(kendalltau(first, second).statistic)


def table(points: Sequence[CalibrationPoint]) -> str:
    """Returns the calibration for a terminal."""
    head = f"{'ptime':>5} {'kbit':>4} {'loss %':>7} {'heard kbit':>10} {'E-model':>8} {'ViSQOL':>7}  basis"
    lines = [
        f"{point.ptime_ms:>5} {point.kbit:>4} {100 * point.lost_ratio:>7.2f} {point.heard_kbit:>10.1f} "
        f"{point.emodel_mos:>8.2f} {point.visqol_mos:>7.2f}  {'grounded' if point.grounded else 'extrapolated'}"
        for point in points
    ]
    rho, tau = rank_agreement(points)
    return "\n".join([head, *lines, "", f"rank agreement over {len(points)} points: rho {rho:.3f}, tau {tau:.3f}"])


def _lost(count: int, loss_ratio: float, rng: random.Random) -> list[bool]:
    """Marks exactly the requested share, at random places: short speech is too short for random totals."""
    places = set(rng.sample(range(count), round(count * loss_ratio)))
    return [place in places for place in range(count)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m calls.quality.calibration", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="how often each point is measured (default 3)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    given = parser.parse_args()
    voice, seeds = live_voice(), range(given.seeds)
    cases = [*((20, kbit) for kbit in RATES_KBIT), *UNPUBLISHED]
    points = sweep(voice, cases, LOSSES, seeds)
    if given.json:
        rho, tau = rank_agreement(points)
        print(json.dumps({"voice": voice.name, "model": MODEL, "measure": visqol.measure_name(), "spearman": rho,
                          "kendall": tau, "points": [asdict(point) for point in points]}))  # fmt: skip
        return
    print(f"voice {voice.name}, {MODEL} against {visqol.measure_name()}, {given.seeds} seeds a point\n")
    print(table(points))


if __name__ == "__main__":
    main()

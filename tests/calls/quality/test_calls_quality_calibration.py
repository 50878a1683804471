"""The E-model and ViSQOL rank the same damage alike: what makes a MOS out of counters worth anything.

The whole sweep (``python -m calls.quality.calibration``) gives rho 0.90 and tau 0.74 over 40 points. This test takes
one sentence of it and requires at least 0.8 and 0.6. Two unrelated rankings of nine do not reach that (p < 0.02).
"""

from __future__ import annotations

import runpy
import sys

import pytest

from calls.media.audio.opus import SAMPLE_RATE
from calls.media.probe.live_voice import LiveVoice, live_voice
from calls.quality import calibration

SECONDS = 3
"""A longer sentence costs CPU and tells no more: rho and tau are 0.95 and 0.89 at 3 s, 0.85 and 0.72 at 4 s."""


@pytest.fixture(scope="module")
def points() -> list[calibration.CalibrationPoint]:
    voice = live_voice()
    sentence = LiveVoice(voice.name, voice.pcm[: 2 * SECONDS * SAMPLE_RATE])
    return calibration.sweep(sentence, [(20, kbit) for kbit in calibration.RATES_KBIT], (0.0, 0.03, 0.1), [1])


def test_they_agree_in_rank(points: list[calibration.CalibrationPoint]) -> None:
    rho, tau = calibration.rank_agreement(points)
    print(calibration.table(points))
    assert rho >= 0.8
    assert tau >= 0.6


def test_both_hear_loss_at_every_bitrate_and_bitrate_without_loss(points: list[calibration.CalibrationPoint]) -> None:
    for kbit in calibration.RATES_KBIT:
        clean, _, worst = (point for point in points if point.kbit == kbit)
        assert clean.visqol_mos - worst.visqol_mos > 0.2
        assert clean.emodel_mos - worst.emodel_mos > 0.5
        assert worst.lost_ratio == pytest.approx(0.1, abs=0.005)
    by_rate = [next(point for point in points if point.kbit == kbit) for kbit in calibration.RATES_KBIT]
    assert by_rate[0].visqol_mos < by_rate[1].visqol_mos <= by_rate[2].visqol_mos + 0.03


def test_a_table_that_disagrees_is_seen_to(points: list[calibration.CalibrationPoint]) -> None:
    upside_down = sorted(points, key=lambda point: point.visqol_mos)
    swapped = [
        calibration.CalibrationPoint(
            point.ptime_ms,
            point.kbit,
            point.loss_ratio,
            point.lost_ratio,
            point.heard_kbit,
            -place,
            point.visqol_mos,
            True,
        )
        for place, point in enumerate(upside_down)
    ]
    assert calibration.rank_agreement(swapped)[0] == pytest.approx(-1.0)


def test_the_module_tells_how_it_is_used(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["calibration", "--help"])
    monkeypatch.delitem(sys.modules, calibration.__name__)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(calibration.__name__, run_name="__main__")
    assert ended.value.code == 0
    assert "--seeds" in capsys.readouterr().out

from __future__ import annotations

import itertools

import pytest

from calls.quality import MODEL, Heard, emodel, opus, score_call, score_window


def heard(
    loss: float = 0.0,
    delay_ms: float | None = 50.0,
    *,
    burst: float = 1.0,
    kbit: float = 31.0,
    ptime_ms: float = 20.0,
) -> Heard:
    return Heard(loss_ratio=loss, burst_ratio=burst, kbit=kbit, ptime_ms=ptime_ms, mouth_to_ear_ms=delay_ms)


@pytest.mark.parametrize(
    ("loss", "delay_ms", "random_mos", "bursty_mos"),
    [
        (0.00, 50, 4.30, 4.30),
        (0.03, 150, 3.65, 3.54),
        (0.05, 150, 3.27, 3.12),
        (0.00, 300, 3.77, 3.77),
        (0.03, 300, 2.92, 2.79),
        (0.00, 500, 3.00, 3.00),
    ],
)
def test_conversational_mos_of_opus_at_31_kbit_meets_the_computed_figures(
    loss: float, delay_ms: float, random_mos: float, bursty_mos: float
) -> None:
    assert score_window(heard(loss, delay_ms)).mos_cq == pytest.approx(random_mos, abs=0.006)
    assert score_window(heard(loss, delay_ms, burst=3.0)).mos_cq == pytest.approx(bursty_mos, abs=0.006)


def test_listening_quality_does_not_know_delay() -> None:
    near, far = score_window(heard(0.01, 20)), score_window(heard(0.01, 700))
    assert near.mos_lq == far.mos_lq
    assert near.mos_cq == near.mos_lq
    assert far.mos_cq is not None
    assert far.mos_cq < near.mos_lq - 0.5


def test_no_known_delay_gives_no_conversational_score() -> None:
    assert score_window(heard(delay_ms=None)).mos_cq is None


def test_rating_maps_to_the_ends_of_the_scale() -> None:
    assert emodel.mos_of_rating(0) == 1.0
    assert emodel.mos_of_rating(3) == 1.0
    assert emodel.mos_of_rating(148) == 4.5
    assert emodel.mos_of_rating(93.2 * 1.48) == pytest.approx(4.41, abs=0.005)
    ratings = [emodel.mos_of_rating(r) for r in range(149)]
    assert ratings == sorted(ratings)


def test_total_loss_leaves_nothing() -> None:
    assert score_window(heard(1.0)).mos_lq < 1.25


def test_interpolates_between_neighbours_of_one_row() -> None:
    middle = opus.impairment(20.5, ptime_ms=20, bursty=False)
    assert middle.ie == pytest.approx((23.81 + 20.22) / 2)
    assert middle.bpl == pytest.approx((10.67 + 10.47) / 2)
    assert opus.impairment(20.5, ptime_ms=20, bursty=True).bpl == pytest.approx((8.92 + 8.57) / 2)
    assert opus.impairment(22, ptime_ms=20, bursty=False, mode="cbr").ie == 23.38


@pytest.mark.parametrize(
    ("kbit", "ptime_ms", "basis"),
    [
        (24, 20, opus.Basis.PUBLISHED),
        (40, 20, opus.Basis.PUBLISHED),
        (14, 20, opus.Basis.PUBLISHED),
        (13.6, 20, opus.Basis.CALIBRATED),
        (64, 20, opus.Basis.EXTRAPOLATED),
        (24, 60, opus.Basis.CALIBRATED),
        (22, 40, opus.Basis.CALIBRATED),
        (11.3, 60, opus.Basis.CALIBRATED),
        (32, 60, opus.Basis.EXTRAPOLATED),
        (12, 20, opus.Basis.EXTRAPOLATED),
    ],
)
def test_a_score_says_whether_it_is_published_calibrated_or_a_guess(
    kbit: float, ptime_ms: float, basis: opus.Basis
) -> None:
    assert opus.impairment(kbit, ptime_ms=ptime_ms, bursty=False).basis is basis


def test_degraded_audio_is_judged_at_the_rate_that_speech_really_takes() -> None:
    assert opus.impairment(9.8, ptime_ms=60, bursty=False, bandwidth="wb").basis is opus.Basis.CALIBRATED
    assert opus.impairment(9.8, ptime_ms=60, bursty=False).basis is opus.Basis.EXTRAPOLATED


def test_a_narrower_band_is_shifted_to_the_full_band_scale_and_meets_the_next_row() -> None:
    wideband = opus.impairment(13, ptime_ms=20, bursty=False)
    super_wideband = opus.impairment(14, ptime_ms=20, bursty=False)
    assert wideband.ie == pytest.approx(19.96 + 19.0)
    assert wideband.ie - super_wideband.ie == pytest.approx(0.9, abs=0.01)
    assert opus.impairment(8, ptime_ms=20, bursty=False).ie == pytest.approx(16.02 + 54.8)


def test_more_bitrate_never_sounds_worse() -> None:
    scores = [score_window(heard(kbit=kbit)).mos_lq for kbit in range(6, 48)]
    assert all(later >= earlier - 0.005 for earlier, later in itertools.pairwise(scores))


def test_a_call_keeps_its_worst_window_beside_its_median() -> None:
    score = score_call([heard(), heard(), heard(0.2, burst=4.0), heard()])
    assert score is not None
    assert score.mos_lq == pytest.approx(4.30, abs=0.01)
    assert score.mos_lq_worst < 2.2
    assert score.mos_cq_worst == score.mos_lq_worst
    assert score.grounded
    assert score.model == MODEL == "G.107.2/opus-alahmadi-2021"


def test_the_weakest_window_tells_what_the_call_rests_on() -> None:
    calibrated = score_call([heard(), heard(kbit=12, ptime_ms=60)])
    assert calibrated is not None
    assert (calibrated.basis, calibrated.grounded) == (opus.Basis.CALIBRATED, True)
    guessed = score_call([heard(), heard(kbit=12, ptime_ms=60), heard(kbit=12, ptime_ms=20), heard()])
    assert guessed is not None
    assert (guessed.basis, guessed.grounded) == (opus.Basis.EXTRAPOLATED, False)


def test_nothing_heard_has_no_score() -> None:
    assert score_call([]) is None


def test_the_encoder_s_bandwidth_follows_its_target_and_not_what_speech_happens_to_take() -> None:
    by_rate = Heard(0.0, 1.0, kbit=9.8, ptime_ms=60, mouth_to_ear_ms=None)
    by_target = Heard(0.0, 1.0, kbit=9.8, ptime_ms=60, mouth_to_ear_ms=None, bandwidth="wb")
    assert score_window(by_rate).mos_lq < 2.9
    assert score_window(by_target).mos_lq == pytest.approx(3.5, abs=0.1)

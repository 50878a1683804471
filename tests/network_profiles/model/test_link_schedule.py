from __future__ import annotations

import itertools

import pytest

from network_profiles import load_catalogue
from network_profiles.model.plain_profile import plain_profile
from network_profiles.model.schedule import build_schedule, representative_length_s


@pytest.mark.parametrize("profile_id", sorted(load_catalogue()))
def test_a_schedule_has_no_hole_and_shows_what_changes(profile_id: str) -> None:
    profile = load_catalogue()[profile_id]
    for side in ("down", "up"):
        one = build_schedule(plain_profile(profile), "down" if side == "down" else "up")
        assert one.segments[0].starts_s == 0
        assert one.length_s == pytest.approx(representative_length_s(plain_profile(profile)))
        assert all(before.ends_s == after.starts_s for before, after in itertools.pairwise(one.segments))
        assert (len(one.segments) > 1) is profile.changes_with_time


def test_a_cycle_is_shown_whole_and_a_last_phase_by_its_beginning() -> None:
    catalogue = load_catalogue()
    assert representative_length_s(plain_profile(catalogue["sat_leo"])) == pytest.approx(30.0)
    assert representative_length_s(plain_profile(catalogue["handover_3g_2g"])) == pytest.approx(47.34)
    assert representative_length_s(plain_profile(catalogue["handover_lte_3g"])) == pytest.approx(34.5)


def test_outages_side_by_side_are_one() -> None:
    lift = build_schedule(plain_profile(load_catalogue()["lift"]), "up")
    assert [(one.starts_s, one.ends_s) for one in lift.outages] == [(21.5, 31.5)]


def test_a_trace_shows_the_same_schedule_with_the_same_seed() -> None:
    numbers = plain_profile(load_catalogue()["umts_driving"])
    assert build_schedule(numbers, "down", seed=4) == build_schedule(numbers, "down", seed=4)
    assert build_schedule(numbers, "down", seed=4) != build_schedule(numbers, "down", seed=5)
    down, up = build_schedule(numbers, "down", seed=4), build_schedule(numbers, "up", seed=4)
    assert [one[:2] for one in down.outages] == [one[:2] for one in up.outages]

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import network_profiles
from bedrock.errors import InputError
from network_profiles.catalogue.catalogue import PROFILES_FOLDER, load_catalogue, read_folder, read_profile, resolve
from network_profiles.catalogue.feasibility import DEFAULT_VOICE, GOOD_VIDEO, LOW_VOICE, VIDEO, assess_feasibility

PUBLISHED_IDS = {
    "gprs_2g", "2g_rural", "edge_275g", "edge_good", "umts_r99", "wpt_3gslow", "hspa_35g", "hspa_lossy", "hspa_plus",
    "lte_poor", "lte_good", "fast4g", "wifi_lossy", "wifi_congested", "sat_geo", "sat_leo", "handover_lte_3g",
    "offline_10s", "umts_driving", "rfc8867_reference", "handover_3g_2g", "lift", "commuter_train", "walking_tunnel",
}  # fmt: skip


def test_the_catalogue_holds_the_published_ids_and_every_generation() -> None:
    catalogue = load_catalogue()
    assert set(catalogue) >= PUBLISHED_IDS
    assert len(catalogue) >= 24
    assert {name for name, one in catalogue.items() if one.has_trace} >= {"umts_driving", "lte_driving"}
    assert {profile.generation for profile in catalogue.values()} == {"2g", "3g", "4g", "5g", "wifi", "satellite"}


def test_a_number_that_is_chosen_says_so() -> None:
    for profile in load_catalogue().values():
        for name, source in profile.source.model_dump().items():
            if "chosen" in source:
                assert name in profile.synthetic, f"{profile.id}: {name}"


def test_gprs_is_what_its_sources_say() -> None:
    gprs = load_catalogue()["gprs_2g"]
    assert (gprs.down.rate_kbit, gprs.up.rate_kbit, gprs.rtt_ms, gprs.down.loss_ratio) == (50, 30, 650, 0.02)


def write(folder: Path, old: str, new: str) -> Path:
    text = (PROFILES_FOLDER / "gprs_2g.toml").read_text()
    assert old in text
    path = folder / "gprs_2g.toml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("rate_kbit = 50", "rate_kbit = -50", "down.rate_kbit", "from 1 to 1e+07 kbit/s"),
        ("rate_kbit = 50", 'rate_kbit = "50 kbit"', "down.rate_kbit", "must be a number"),
        ("rate_kbit = 50", "rate_mbit = 50", "down.rate_mbit", "unknown key"),
        ("owd_ms = 325", "owd_ms = 1e9", "down.owd_ms", "from 0 to 10000 ms, one way"),
        ("owd_ms = 325", "owd_ms = true", "down.owd_ms", "must be a number"),
        ("jitter_ms = 50", "jitter_ms = nan", "down.jitter_ms", "must be a number from 0"),
        ("loss_ratio = 0.02", "loss_ratio = 2", "down.loss_ratio", "1 % is 0.01"),
        ("loss_ratio = 0.02", "loss_ratio = 0.9", "down", "loss_burst_packets must be at least 9"),
        ("queue_ms = 2000", "", "down.queue_ms", "required"),
        ('generation = "2g"', 'generation = "2.5g"', "generation", "'2g'"),
        ('"queue_ms"]', '"depth"]', "synthetic", "must name numbers"),
        ('jitter_ms = "half', 'jitter = "half', "source.jitter_ms", "required"),
        ("[down]", "[[phases]]\nlasts_s = 0\n[down]", "phases[0].lasts_s", "from 0.001"),
        ("[down]", "[[phases]]\nlasts_s = 5\n[down]", "", "source.change"),
    ],
)
def test_a_wrong_profile_is_told_by_file_key_and_range(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    path = write(tmp_path, old, new)
    with pytest.raises(InputError) as caught:
        read_profile(path)
    told = [(one.file, one.key, str(one)) for one in caught.value.problems]
    assert any(file == str(path) and at == key and says in text for file, at, text in told), told


def test_an_outage_phase_has_no_link(tmp_path: Path) -> None:
    phase = "[[phases]]\nlasts_s = 5\noutage = true\ndown = { owd_ms = 1, queue_ms = 100 }\n[down]"
    with pytest.raises(InputError, match="an outage has no 'down'"):
        read_profile(write(tmp_path, "[down]", phase))


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    for name in ("lte_good", "fast4g"):
        shutil.copy(PROFILES_FOLDER / f"{name}.toml", tmp_path)
    write(tmp_path, "rate_kbit = 50", "rate_kbit = 0")
    (tmp_path / "fast4g.toml").write_text("not toml")
    (tmp_path / "other.toml").write_text((PROFILES_FOLDER / "lte_good.toml").read_text())
    with pytest.raises(InputError) as caught:
        read_folder(tmp_path)
    assert {Path(one.file).name for one in caught.value.problems} == {"gprs_2g.toml", "fast4g.toml", "other.toml"}


def test_a_profile_is_had_by_its_path_wherever_an_id_is(tmp_path: Path) -> None:
    path = write(tmp_path, 'id = "gprs_2g"', 'id = "our_village"')
    catalogue = read_folder(PROFILES_FOLDER)
    assert "our_village" not in catalogue
    assert str(path) in catalogue
    assert catalogue[str(path)] is catalogue["our_village"]
    assert catalogue["our_village"].rtt_ms == 650
    assert str(tmp_path / "absent.toml") not in list(catalogue)
    with pytest.raises(InputError, match="no such file"):
        _ = catalogue[str(tmp_path / "absent.toml")]
    assert "gprs" not in catalogue


def test_a_profile_of_ones_own_may_not_take_the_name_of_another(tmp_path: Path) -> None:
    path = write(tmp_path, "rate_kbit = 50", "rate_kbit = 51")
    with pytest.raises(InputError, match=r"gprs_2g.toml: id: must be one that no other profile has \(got 'gprs_2g'\)"):
        resolve([str(path)])
    assert resolve([str(PROFILES_FOLDER / "gprs_2g.toml")])[0] == load_catalogue()["gprs_2g"]


PROCESS = "spread=1\npeak_ratio=2\ncoherence_s=2\ngap_every_s=20\ngap_median_s=1\ngap_spread=0.5\ngap_longest_s=5\n"
MADE = "trace = { process = { " + PROCESS.strip().replace("\n", ", ") + " } }"
PHASE = "[[phases]]\nlasts_s = 5\ndown = { trace = { file = 'good.down' }, owd_ms = 1, queue_ms = 9 }\n[down]"


def made_with(old: str, new: str) -> str:
    return f"[down.trace.process]\n{PROCESS.replace(old, new)}[up]"


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("rate_kbit = 50", 'trace = { file = "absent.down" }', "down.trace.file", "absent.down: no such file"),
        ("rate_kbit = 50", 'trace = { file = "bad.down" }', "down.trace.file", "bad.down: line 2: must be whole"),
        ("rate_kbit = 50", 'trace = { file = "fast.down" }', "down.trace.file", "fast.down: must have a mean from 1"),
        ("owd_ms = 325", 'trace = { file = "good.down" }\nowd_ms = 1', "down.rate_kbit", "must be absent"),
        ("owd_ms = 325", "trace = { }\nowd_ms = 1", "down.trace", "must have either 'file' or 'process'"),
        ('change = "x"', made_with("", ""), "", "source.change must say"),
        ("[up]", made_with("20", "-1"), "down.trace.process.gap_every_s", "from 0.001 to 86400 s"),
        ("[up]", made_with("=5", "=0.5"), "down.trace.process", "gap_longest_s must not be below"),
        ("[up]", made_with("spread=1", "spread=9"), "down.trace.process.spread", "from 0 to 2"),
        ("rate_kbit = 50", MADE, "down", "needs rate_kbit"),
        ("[down]", PHASE, "phases[0]", "a phase has no trace"),
    ],
)  # fmt: skip
def test_a_wrong_trace_is_told_by_file_and_key(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    (tmp_path / "good.down").write_text("10\n20\n")
    (tmp_path / "bad.down").write_text("10\nx\n")
    (tmp_path / "fast.down").write_text("1\n" * 5_000)
    path = tmp_path / "ride.toml"
    text = (PROFILES_FOLDER / "gprs_2g.toml").read_text().replace("[source]", '[source]\nchange = "x"')
    path.write_text(text.replace(old, "" if key == "" else new, 1).replace("[up]", new if key == "" else "[up]"))
    with pytest.raises(InputError) as caught:
        read_profile(path)
    told = [(one.file, one.key, str(one)) for one in caught.value.problems]
    assert any(file == str(path) and at == key and says in text for file, at, text in told), told


def test_phases_outages_and_traces_exclude_each_other(tmp_path: Path) -> None:
    more = "[[phases]]\nlasts_s = 5\n[outages]\nmean_between_s = 5\nshortest_s = 1\nlongest_s = 2\n[down]"
    with pytest.raises(InputError, match="exclude each other"):
        read_profile(write(tmp_path, "[down]", more))


def test_a_recorded_trace_gives_the_profile_its_rate_from_beside_its_file(tmp_path: Path) -> None:
    (tmp_path / "rides").mkdir()
    (tmp_path / "rides" / "x.down").write_text("".join(f"{at_ms}\n" for at_ms in range(12, 12_001, 12)))
    path = write(tmp_path, "rate_kbit = 50", 'trace = { file = "rides/x.down" }')
    path.write_text(
        path.read_text().replace('id = "gprs_2g"', 'id = "our_ride"').replace("[source]", '[source]\nchange = "x"')
    )
    ride = resolve([str(path)])[0]
    assert ride.down.rate_kbit == pytest.approx(1504 * 8 / 12)
    assert ride.changes_with_time
    assert ride.down.trace is not None
    assert ride.down.trace.file == str(tmp_path / "rides" / "x.down")


def test_unknown_profiles_are_named_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        resolve(["gprs", "lte_good", "wifi_lossi"])
    assert [one.hint for one in caught.value.problems] == ["did you mean 'gprs_2g'?", "did you mean 'wifi_lossy'?"]


def test_what_a_voice_call_needs_on_the_wire() -> None:
    assert pytest.approx(44.0) == DEFAULT_VOICE.wire_kbit
    assert pytest.approx(18.67, abs=0.01) == LOW_VOICE.wire_kbit


@pytest.mark.parametrize(
    ("profile_id", "default", "low", "video"),
    [
        ("gprs_2g", False, True, False),
        ("2g_rural", False, False, False),
        ("edge_good", True, True, False),
        ("lte_good", True, True, True),
    ],
)
def test_what_fits_a_link(profile_id: str, default: bool, low: bool, video: bool) -> None:
    facts = assess_feasibility(load_catalogue()[profile_id])
    assert [facts.fit(one).both_ways for one in (DEFAULT_VOICE, LOW_VOICE, VIDEO)] == [default, low, video]


def test_what_fits_a_link_that_changes_fits_for_a_share_of_the_time() -> None:
    lift = assess_feasibility(load_catalogue()["lift"])
    # 10 s of the 45.5 s shown pass nothing; 1.5 s + 4 s of it are too slow upwards for 568 kbit/s on 200.
    assert lift.outage_ratio == pytest.approx(10 / 45.5)
    assert lift.fit(DEFAULT_VOICE).down_ratio == pytest.approx(35.5 / 45.5)
    assert lift.fit(GOOD_VIDEO).up_ratio == pytest.approx(31.5 / 45.5)
    assert not lift.fit(LOW_VOICE).both_ways
    assert lift.sentence == "voice fits, video does not; nothing passes for 22% of the time shown"
    assert assess_feasibility(load_catalogue()["2g_rural"]).sentence.startswith("not even low audio fits")


def test_media_on_rural_2g_cannot_start_within_four_seconds() -> None:
    assert assess_feasibility(load_catalogue()["2g_rural"]).setup_floor_ms > 4000


@pytest.mark.parametrize("name", network_profiles.__all__)
def test_the_public_names_are_there(name: str) -> None:
    assert getattr(network_profiles, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = network_profiles.nothing

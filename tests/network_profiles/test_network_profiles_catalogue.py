from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import network_profiles
from bedrock.errors import InputError
from network_profiles.catalogue import PROFILES_FOLDER, load_catalogue, read_folder, read_profile, resolve
from network_profiles.feasibility import DEFAULT_VOICE, LOW_VOICE, describe

PUBLISHED_IDS = {
    "gprs_2g", "2g_rural", "edge_275g", "edge_good", "umts_r99", "wpt_3gslow", "hspa_35g", "hspa_lossy", "hspa_plus",
    "lte_poor", "lte_good", "fast4g", "wifi_lossy", "wifi_congested", "sat_geo", "sat_leo", "handover_lte_3g",
    "offline_10s",
}  # fmt: skip


def test_the_catalogue_holds_the_published_ids_and_every_generation() -> None:
    catalogue = load_catalogue()
    assert set(catalogue) >= PUBLISHED_IDS
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
    facts = describe(load_catalogue()[profile_id])
    assert ([fit.both_ways for fit in facts.fits], facts.video) == ([default, low], video)


def test_media_on_rural_2g_cannot_start_within_four_seconds() -> None:
    assert describe(load_catalogue()["2g_rural"]).setup_floor_ms > 4000


@pytest.mark.parametrize("name", network_profiles.__all__)
def test_the_public_names_are_there(name: str) -> None:
    assert getattr(network_profiles, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = network_profiles.nothing

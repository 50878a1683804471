from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedrock.exit_codes import ExitCode
from network_profiles import load_catalogue, load_mixes
from network_profiles.catalogue.catalogue import PROFILES_FOLDER
from ringfence.__main__ import run_command
from ringfence.cli.network.drawing import NOTHING


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str, columns: int = 80) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run_command(["network", *words]) == ExitCode.PASS
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("profile_id", ["2g_rural", "umts_driving", "lift", "sat_leo", "gprs_moving", "emerging_2g_3g"])
def test_a_link_is_drawn_within_the_terminal_and_without_colours_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, profile_id: str, columns: int
) -> None:
    text = shown(capsys, monkeypatch, "show", profile_id, columns=columns)
    assert max(len(line) for line in text.splitlines()) <= columns
    assert "\x1b" not in text
    assert text.startswith(profile_id)


def test_an_outage_is_drawn_where_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(capsys, monkeypatch, "show", "lift").splitlines()
    bars = next(line for line in lines if line.startswith("down  ")).split()[1]
    crosses = [place / len(bars) * 45.5 for place, mark in enumerate(bars) if mark == NOTHING]
    # 10 s from 21.5 s on; a column is 0.8 s.
    assert min(crosses) == pytest.approx(21.5, abs=0.8)
    assert max(crosses) == pytest.approx(31.5, abs=0.8)
    assert bars[0] == "█"
    assert any("nothing passes: once, for 10.0 s" in line for line in lines)


def test_a_burst_of_loss_is_marked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(capsys, monkeypatch, "show", "sat_leo")
    assert text.count("▒") == 5  # twice each way, and the legend
    assert "loses 10% or more" in text


def test_what_a_call_needs_stands_beside_what_the_link_gives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shown(capsys, monkeypatch, "show", "gprs_2g").splitlines()
    assert any("20 ms frames  44 " in line and line.endswith("does not fit ") for line in lines), lines
    assert any("12 kbit/s in 60 ms" in line and line.count("fits") == 2 for line in lines)
    assert "only low audio fits" in lines


def test_the_list_has_every_profile_and_mix_at_any_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(capsys, monkeypatch, "list")
    starts = {line.split()[0] for line in text.splitlines() if line.strip()}
    assert starts >= {*load_catalogue(), *load_mixes()}
    assert max(len(line) for line in text.splitlines()) <= 80


def test_the_course_of_a_link_comes_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads(shown(capsys, monkeypatch, "show", "handover_lte_3g", "--json"))
    assert [(one["starts_s"], one["outage"], one["rate_kbit"]) for one in told["course"]["up"]] == [
        (0, False, 12000), (20, True, None), (24.5, False, 400),
    ]  # fmt: skip
    voice = next(fit for fit in told["feasibility"]["fits"] if fit["format"]["name"] == "voice")
    assert voice["wire_kbit"] == 44
    assert voice["down_ratio"] == pytest.approx(30 / 34.5)


def test_a_profile_of_ones_own_is_shown_by_its_path(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (PROFILES_FOLDER / "gprs_2g.toml").read_text()
    (tmp_path / "ours.toml").write_text(text.replace('id = "gprs_2g"', 'id = "our_village"'))
    assert shown(capsys, monkeypatch, "show", str(tmp_path / "ours.toml")).startswith("our_village")
    (tmp_path / "wrong.toml").write_text(text.replace("owd_ms = 325", "owd_ms = -1"))
    assert run_command(["network", "show", str(tmp_path / "wrong.toml")]) == ExitCode.USAGE
    assert "down.owd_ms: must be a number from 0 to 10000 ms, one way (got -1)" in capsys.readouterr().err

from __future__ import annotations

import json
from typing import Any

import pytest

from bedrock.exit_codes import ExitCode
from calls.scenarios import SCENARIOS as SWARM_SCENARIOS
from device_matrix.scenarios import SCENARIOS as MATRIX_SCENARIOS
from reports.slo.metrics import METRICS
from reports.slo.slo_file import built_in_names, load_slo
from ringfence.__main__ import run_command
from ringfence.run_plan import built_in_plans

KNOWN = {
    "plans": list(built_in_plans()),
    "metrics": list(METRICS),
    "scenarios": [*SWARM_SCENARIOS, *MATRIX_SCENARIOS],
    "slo": built_in_names(),
}
EVERY_NAME = [(group, name) for group, names in KNOWN.items() for name in names]


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run_command(list(words)) == ExitCode.PASS
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(shown(capsys, *words, "--json"))


@pytest.mark.parametrize("group", KNOWN)
@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_list_names_everything_uncut(
    group: str, columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = shown(capsys, group, "list").splitlines()
    assert [line.split()[0] for line in lines if line[:1].strip()][1 : len(KNOWN[group]) + 1] == KNOWN[group]
    assert all(len(line) <= int(columns) for line in lines)
    listed = as_json(capsys, group, "list")
    texts = "".join(each.get("measures", each.get("title", "")) for each in listed)
    assert "".join(lines).count("…") == texts.count("…"), "no text is cut"
    assert [each["name"] for each in listed] == KNOWN[group]


@pytest.mark.parametrize(("group", "name"), EVERY_NAME)
def test_everything_can_be_shown(group: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert name in shown(capsys, group, "show", name).splitlines()[0]
    assert as_json(capsys, group, "show", name)["name"] == name


@pytest.mark.parametrize(
    ("group", "wrong", "nearest"),
    [
        ("plans", "smok", "smoke"),
        ("metrics", "setup_p95", "setup_ms_p95"),
        ("scenarios", "video_falback", "video_fallback"),
        ("slo", "stagse", "stages"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_an_unknown_name_is_exit_2_and_names_the_nearest(
    group: str, wrong: str, nearest: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command([group, "show", wrong, *more]) == ExitCode.USAGE
    assert f"did you mean '{nearest}'?" in capsys.readouterr().err


def test_a_plan_says_what_it_needs_how_long_it_takes_and_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    smoke, soak = (as_json(capsys, "plans", "show", name) for name in ("smoke", "soak"))
    assert smoke["takes_s"] == 420
    assert smoke["needs"] == ["browser", "media", "packets"]
    assert (smoke["matrix"]["cells"], len(smoke["matrix"]["devices"])) == (48, 24)
    assert smoke["file"].endswith("smoke.toml")
    assert soak["matrix"] is None
    assert soak["needs"] == ["media", "packets"]


def test_a_metric_comes_with_a_rule_that_an_slo_file_may_hold(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    for name in METRICS:
        rule = shown(capsys, "metrics", "show", name).partition("[[rule]]")[2]
        file = tmp_path / f"{name}.toml"
        file.write_text(f"[[rule]]{rule}")
        assert load_slo(file).rule[0].metric == name


def test_rules_are_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    told = " ".join(shown(capsys, "slo", "show", "smoke").split())
    assert (
        "completion_ratio must be at least 85 % over calls (swarm, 2g), with 95 % confidence from 60 calls or more."
        in told
    )
    assert "devices_run must be at least 24 devices." in told

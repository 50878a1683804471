from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from synthetic_run_folder import DEVICES, healthy

from reports.build import summarize, write_all
from reports.result.summary import Summary, summary_json
from reports.slo.slo_file import load_slo
from reports.text import bounds, clock, figure, grouped, percent

SMOKE = load_slo("smoke")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return healthy(
        calls=200, messages=120, lose_every_nth_answer=10, failing_cells=2, environment_errors=1, retried=1,
        missing_cells=1,
    ).write(tmp_path_factory.mktemp("run"))  # fmt: skip


@pytest.fixture(scope="module")
def summary(run: Path) -> Summary:
    return summarize(run, SMOKE)


def test_the_top_level_keys_are_the_contract(summary: Summary) -> None:
    written = json.loads(summary_json(summary))
    assert list(written) == [
        "format", "verdict", "exit_code", "reasons", "rules", "swarm", "matrix", "tiers", "duration_s",
        "knee", "rollout",
    ]  # fmt: skip
    assert written["format"] == 1
    assert {"name", "verdict", "value", "low", "high", "n", "limit"} <= set(written["rules"][0])
    assert {
        "calls", "completed", "failed", "peak_concurrent", "by_outcome", "by_tier", "health",
    } <= set(written["swarm"])  # fmt: skip
    assert {"devices", "networks", "cells", "by_status", "grid"} <= set(written["matrix"])


def test_the_counts_add_up(summary: Summary) -> None:
    swarm, matrix = summary.swarm, summary.matrix
    assert swarm.calls == 200 == sum(swarm.by_outcome.values())
    assert swarm.failed == swarm.by_outcome["failed"] == sum(group.calls for group in swarm.failures) > 0
    assert swarm.calls == sum(tier.calls for tier in swarm.by_tier.values())
    assert list(swarm.funnel.values()) == sorted(swarm.funnel.values(), reverse=True)
    assert (swarm.funnel["attempted"], swarm.funnel["ended"]) == (200, swarm.completed)
    assert (matrix.devices, matrix.networks, matrix.cells) == (len(DEVICES), 3, 48)
    assert matrix.by_status == {"environment_error": 1, "failed": 2, "missing": 1, "passed": 44}
    assert sum(summary.tiers.values()) > 300


def test_the_grid_keeps_the_plans_order_and_names_what_left_no_result(summary: Summary) -> None:
    assert summary.matrix.grid[0].device == DEVICES[0][0]
    missing = summary.matrix.grid[-1]
    assert (missing.status, missing.attempts, missing.device) == ("missing", 0, DEVICES[-1][0])


def test_a_summary_reads_back(summary: Summary) -> None:
    assert msgspec.json.decode(summary_json(summary).encode(), type=Summary) == summary


def test_the_same_folder_gives_the_same_summary(run: Path, summary: Summary) -> None:
    assert summary_json(summarize(run, SMOKE)) == summary_json(summary)


def test_every_report_is_written_whole_and_again(run: Path, summary: Summary) -> None:
    for _ in range(2):
        write_all(run, summary)
        for name in ("summary.json", "report.html", "junit.xml", "summary.md"):
            assert (run / name).stat().st_size > 500
    assert not list(run.glob(".*"))


def test_reports_are_written_for_a_run_that_left_no_record(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    write_all(tmp_path, summarize(tmp_path, SMOKE))
    assert "INVALID" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "summary.json").read_text())["swarm"]["calls"] == 0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.97, "ratio", "97 %"), (0.9996, "ratio", "99.96 %"), (0.99999, "ratio", "99.99 %"), (1.0, "ratio", "100 %"),
        (0.00004, "ratio", "0.01 %"), (0.0, "ratio", "0 %"), (1234.5, "ms", "1 234 ms"), (12.34, "ms", "12.3 ms"),
        (4.168, "MOS", "4.17 MOS"), (None, "ms", "n/a"), (float("nan"), "ms", "n/a"), (125, "calls", "125 calls"),
    ],
)  # fmt: skip
def test_figures_are_written_with_the_digits_they_deserve(value: float | None, unit: str, text: str) -> None:
    assert figure(value, unit) == text


def test_wording_of_intervals_and_times() -> None:
    assert bounds(0.5, None, "ratio") == "50 to …"
    assert bounds(None, 1500.0, "ms") == "… to 1 500 ms"
    assert (clock(83), clock(3723), grouped(1_000_000), percent(0.123)) == ("1:23", "1:02:03", "1 000 000", "12.3")

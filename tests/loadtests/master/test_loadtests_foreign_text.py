"""What a target says goes into the swarm's own files clean, and cannot be a formula in the CSV that Locust offers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from loadtests.errors import CallFailed, ListNotShown, MessageFailed, SignInFailed
from loadtests.master.live_writer import SwarmLiveWriter
from loadtests.wire.live_stats import SwarmStats
from reports.run.run_folder import find_run


def test_a_fault_is_written_clean(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    live = SwarmLiveWriter(tmp_path, SwarmStats())
    live.fault(1_790_000_000.0, "engine_trouble", "the target said \x1b[2J\x00 \ud800", "note")
    line = json.loads((tmp_path / "faults.jsonl").read_text(encoding="utf-8"))
    assert line["detail"] == "the target said � �"
    assert live.faults == [line]
    assert [fault.detail for fault in find_run(tmp_path).faults] == [line["detail"]]


def test_a_live_line_is_clean_and_has_no_number_that_json_does_not_know(tmp_path: Path) -> None:
    SwarmLiveWriter(tmp_path, SwarmStats()).end(1_790_000_000.0, reason="\x07\ud800", rate=float("nan"))
    text = (tmp_path / "live" / "swarm.jsonl").read_text(encoding="utf-8")
    line = json.loads(text, parse_constant=pytest.fail)
    assert (line["reason"], line["rate"]) == ("��", None)


@pytest.mark.parametrize("said", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1"])
@pytest.mark.parametrize("kind", [CallFailed, MessageFailed, ListNotShown, SignInFailed])
def test_no_cell_of_locusts_failures_is_a_formula(kind: type[CallFailed], said: str) -> None:
    sink = io.StringIO()
    csv.writer(sink).writerow(["CALL", "setup (packets)", repr(kind(said)), 1])  # as locust.stats.StatsError does it
    row = next(csv.reader(io.StringIO(sink.getvalue())))
    assert len(row) == 4
    assert not [cell for cell in row if cell[:1] in set("=+-@\t\r\n")]
    assert row[2].endswith(said.strip())

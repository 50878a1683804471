"""Whole runs of a small swarm, left alone and done harm to. Each asks for the verdict, the folder, and what is left."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import duckdb
import psutil
import pytest
from small_run import nothing_left, small_run

from bedrock.exit_codes import ExitCode
from ringfence.__main__ import run_command

pytestmark = [pytest.mark.patient, pytest.mark.integration]
CONTRACT = {
    "format", "verdict", "exit_code", "reasons", "rules", "swarm", "matrix", "tiers", "duration_s",
}  # fmt: skip
PROBES = "swarm.probe_calls=1"
"""Scoring them takes processes of its own, which must be gone like all others."""

ANY_MACHINE = """
[limits]
setup_limit_s = 20.0
[validity]   # bounds that no machine breaks, however slow: what is judged is the service
send_late_p99_ms_max = 60000
send_late_seconds_ratio_max = 1.0
send_late_legs_ratio_max = 1.0
datagrams_dropped_max = 1000000
health_gap_s_max = 3600
lost_halves_ratio_max = 1.0
starts_dropped_ratio_max = 1.0
busy_seconds_ratio_max = 1.0
[[rule]]
name = "calls complete"
metric = "completion_ratio"
where = { source = "swarm" }
objective = ">= 0.95"
min_n = 5
"""


def socket_of(engine: psutil.Process) -> Path:
    """Where an engine and its worker talk, in the worker's scratch folder."""
    words = engine.cmdline()
    return Path(words[words.index("--ipc") + 1].removeprefix("ipc://"))


def test_a_run_leaves_every_report_and_every_leg(tmp_path: Path) -> None:
    with small_run(tmp_path, PROBES) as run:
        code, summary = run.ended()

    assert set(summary) >= CONTRACT
    assert code == summary["exit_code"]
    assert summary["verdict"] in ("INCONCLUSIVE", "INVALID"), "a run this small can decide nothing"
    assert summary["swarm"]["completed"] > 0
    assert {"packets", "media"} <= set(summary["swarm"]["by_tier"])
    for name in ("manifest.json", "plan.toml", "summary.json", "summary.md", "report.html", "junit.xml"):
        assert (run.folder / name).stat().st_size > 0, name
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["faults"] == []
    assert manifest["ended_at_s"] > manifest["started_at_s"]
    legs = duckdb.sql(
        f"select call_id, count(*) as sides from '{run.folder}/calls/*.parquet' "
        "group by call_id having count(ringing_at_s) > 0 and sides != 2"
    ).fetchall()
    assert legs == [], "every call has both its halves"
    assert nothing_left(run.folder)


def test_the_service_killed_is_a_fail_with_its_reason(tmp_path: Path) -> None:
    with small_run(tmp_path, peak_s=60) as run:
        run.wait_for_calls()
        (service,) = run.children("reference_service")
        service.kill()
        code, summary = run.ended()

    assert (code, summary["verdict"]) == (ExitCode.FAIL, "FAIL")
    assert "calling service ended in the middle of the run" in " ".join(summary["reasons"])
    assert nothing_left(run.folder)


@pytest.mark.parametrize(
    ("words", "reason"),
    [(["calls.engine", "swarm-0"], "engine"), (["locust", "--worker"], "worker"), (["locust", "--master"], "master")],
    ids=["engine", "worker", "master"],
)
def test_a_part_of_the_generator_killed_is_invalid_and_keeps_the_data(
    tmp_path: Path, words: list[str], reason: str
) -> None:
    with small_run(tmp_path, peak_s=15) as run:
        run.wait_for_calls()
        sockets = [socket_of(engine) for engine in run.children("calls.engine")]
        assert sockets
        assert all(socket.exists() for socket in sockets)
        run.children(*words)[0].kill()
        code, summary = run.ended()

    assert (code, summary["verdict"]) == (ExitCode.INVALID, "INVALID")
    assert [socket.parent for socket in sockets if socket.parent.exists()] == [], "a scratch folder was left"
    assert reason in " ".join(summary["reasons"])
    if reason == "worker":
        manifest = json.loads((run.folder / "manifest.json").read_text())
        told = {fault["what"]: re.findall(r"worker (\d+)", fault["detail"]) for fault in manifest["faults"]}
        assert {"worker_lost", "swarm_worker_died"} <= set(told)
        assert len({number for numbers in told.values() for number in numbers}) == 1, "one worker, one number"
    assert summary["swarm"]["calls"] > 0
    assert nothing_left(run.folder)


def test_ctrl_c_is_130_and_the_folder_is_readable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with small_run(tmp_path, PROBES, peak_s=60) as run:
        run.wait_for_calls()
        run.popen.send_signal(signal.SIGINT)
        code, summary = run.ended()

    assert code == ExitCode.INTERRUPTED
    assert summary["verdict"] != "PASS"
    assert json.loads((run.folder / "manifest.json").read_text())["interrupted"] is True
    assert run_command(["gate", str(run.folder), "--json"]) == summary["exit_code"]
    assert json.loads(capsys.readouterr().out)["verdict"] == summary["verdict"]
    assert nothing_left(run.folder)


def test_the_command_line_killed_leaves_no_process(tmp_path: Path) -> None:
    with small_run(tmp_path, PROBES, peak_s=60) as run:
        run.wait_for_calls()
        os.kill(run.popen.pid, signal.SIGKILL)
        run.popen.wait()

        assert nothing_left(run.folder)
        assert run_command(["gate", str(run.folder)]) == ExitCode.INVALID


def test_answers_that_get_lost_fail_the_product_and_not_the_harness(tmp_path: Path) -> None:
    slo = tmp_path / "any-machine.toml"
    slo.write_text(ANY_MACHINE)
    with small_run(tmp_path, "service.lose_every_nth_answer=2", slo=str(slo), peak_s=30) as run:
        code, summary = run.ended()

    assert (code, summary["verdict"]) == (ExitCode.FAIL, "FAIL"), summary["reasons"]
    assert any(reason.startswith("calls complete") for reason in summary["reasons"]), summary["reasons"]
    assert summary["swarm"]["failed"] > 0
    assert "target" in {group["blame"] for group in summary["swarm"]["failures"]}
    assert json.loads((run.folder / "manifest.json").read_text())["faults"] == []

"""Run folders that something has damaged, through the commands that read them: a code and a sentence, every time."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from folder_damage import damage
from synthetic_run_folder import STARTED_AT_S, SyntheticRun, healthy

from bedrock.exit_codes import ExitCode
from calls.records.record import LegRecord
from ringfence.__main__ import run_command

FUZZ_FACTOR = int(os.environ.get("RINGFENCE_FUZZ_FACTOR", "1"))
"""So many times more mutations, each from a seed of its own: ``RINGFENCE_FUZZ_FACTOR=20 pytest …``."""
BATCHES, MUTATIONS = 8, 80
VERDICTS = {ExitCode.PASS, ExitCode.FAIL, ExitCode.USAGE, ExitCode.INCONCLUSIVE, ExitCode.INVALID}


@dataclasses.dataclass(frozen=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str


def command(*arguments: object) -> Said:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_command([str(argument) for argument in arguments])
    return Said(code, out.getvalue(), err.getvalue())


def reasons(run: Path) -> str:
    said = command("gate", run, "--json")
    assert said.code == ExitCode.INVALID, said
    return "\n".join(json.loads(said.out)["reasons"])


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run with its reports, some faults, and nothing wrong."""
    small: SyntheticRun = healthy(
        calls=12, messages=6, lists=6, ramp_s=2.0, peak_s=4.0, talk_s=3.0, failing_cells=1, retried=1, devices=2
    )
    run = small.write(tmp_path_factory.mktemp("good") / "run")
    fault = {"at_s": STARTED_AT_S + 3, "what": "browser_died", "detail": "a cell's", "severity": "note"}
    (run / "faults.jsonl").write_text(f"{json.dumps(fault)}\n" * 2)
    assert command("report", run).code == ExitCode.PASS
    return run


@pytest.fixture
def run(good: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good, tmp_path / "runs" / "run")


@pytest.mark.integration
@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_mutation_of_a_run_folder_ends_in_a_traceback(good: Path, tmp_path: Path, batch: int) -> None:
    runs = tmp_path / "runs"
    for number in range(MUTATIONS * FUZZ_FACTOR):
        rng = random.Random(f"{batch}-{number}")
        shutil.rmtree(runs, ignore_errors=True)
        shutil.copytree(good, runs / "run")
        # Few files are read by history and compare, which are quick; most by gate and report.
        name = rng.choice(["", "summary.json", "summary.json"])
        told = damage(rng, runs / "run", name)
        reading = [("report" if rng.random() < 0.2 else "gate", runs / "run")]
        commands = [("history", runs), ("compare", good, runs / "run")] if name else reading
        for arguments in commands:
            try:
                said = command(*arguments)
            except Exception as error:
                raise AssertionError(f"{arguments[0]} after {told}") from error
            assert said.code in VERDICTS, (told, said)
            assert "Traceback" not in said.err, (told, said)
            assert "\x1b" not in said.out + said.err, told
            if said.code == ExitCode.USAGE:
                assert said.err.strip(), told
        if name:
            assert command("history", runs).code == ExitCode.PASS, told


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _nowhere(path: Path) -> None:
    path.symlink_to("gone")


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**42)


KINDS = [_pipe, _folder, _socket, _device, _loop, _nowhere, _huge]
JSON_FILES = ["manifest.json", "faults.jsonl", "live/matrix.jsonl", "knee.json", "rollout.json"]
WORDS = {
    _pipe: "named pipe", _folder: "a folder", _socket: "a socket", _device: "a device", _loop: "symbolic links",
    _nowhere: "leads nowhere", _huge: "",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*JSON_FILES, "cell", "segment"])
def test_something_else_in_place_of_a_file_is_invalid_with_its_name(
    run: Path, name: str, kind: Callable[[Path], None]
) -> None:
    found = {"cell": next(run.glob("cells/*/*/cell.json")), "segment": next(run.glob("calls/*.parquet"))}
    path = found.get(name, run / name)
    path.unlink(missing_ok=True)
    kind(path)
    told = reasons(run)
    assert str(path.relative_to(run)) in told
    assert WORDS[kind] in told
    assert command("report", run).code == ExitCode.PASS


@pytest.mark.parametrize("kind", [_pipe, _socket, _device, _loop, _nowhere])
@pytest.mark.parametrize("name", ["calls", "health", "cells"])
def test_something_else_in_place_of_a_folder_is_invalid_with_its_name(
    run: Path, name: str, kind: Callable[[Path], None]
) -> None:
    shutil.rmtree(run / name)
    kind(run / name)
    assert f"{name}: " in reasons(run)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"{",
        b'{"a": ' * 100_000,
        b"[" * 100_000,
        b"\x00" * 100,
        b"\xff\xfe{}",
        b"[1]",
        b'{"run_id": 1' + b"0" * 6000,
    ],
    ids=["empty", "torn", "deep", "deep list", "zeros", "utf-16", "a list", "digits"],
)
@pytest.mark.parametrize("name", [*JSON_FILES, "cell"])
def test_a_damaged_json_file_is_invalid_with_its_name(run: Path, name: str, written: bytes) -> None:
    path = next(run.glob("cells/*/*/cell.json")) if name == "cell" else run / name
    path.write_bytes(written + b"\n" if name.endswith("l") else written)
    if name.endswith(".jsonl") and not written:
        return  # no line is not a torn line
    assert str(path.relative_to(run)) in reasons(run)


@pytest.mark.parametrize("at_s", [1e18, -1.0, float("nan"), float("inf"), 1.0, 1e308, None])
@pytest.mark.parametrize("table", ["calls", "health", "messages"])
def test_a_time_that_no_run_has_is_invalid_with_the_segments_name(run: Path, table: str, at_s: float | None) -> None:
    path = sorted((run / table).glob("*.parquet"))[0]
    read = pq.read_table(path)
    column = "ended_at_s" if table == "calls" else "at_s"
    values = [at_s, *read.column(column).to_pylist()[1:]]
    pq.write_table(read.set_column(read.column_names.index(column), column, pa.array(values, pa.float64())), path)
    told = reasons(run)
    assert f"{table}/{path.name}: 1 row holds a time or a number that no run can have" in told
    assert command("report", run).code == ExitCode.PASS
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count('class="hit"') < 3000


@pytest.mark.parametrize("name", ["started_at_s", "ended_at_s"])
@pytest.mark.parametrize("at_s", ["1e18", "-5", "5", "1e308"])
def test_a_time_in_the_manifest_that_the_run_does_not_have_is_told(run: Path, name: str, at_s: str) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {name: "@"}).replace('"@"', at_s))
    assert f"manifest.json has a wrong value: {name} is" in reasons(run)
    assert command("report", run).code == ExitCode.PASS


def test_a_fault_that_broke_the_product_counts_whatever_its_clock_says(run: Path) -> None:
    line = '{"at_s": 1e300, "what": "target_died", "detail": "the service ended", "severity": "fail"}\n'
    (run / "faults.jsonl").write_text(line)
    said = command("gate", run)
    assert said.code == ExitCode.FAIL
    assert "the service ended" in said.out


def test_a_segment_of_another_table_is_named(run: Path) -> None:
    path = sorted((run / "calls").glob("*.parquet"))[0]
    pq.write_table(pa.table({"name": ["x"], "value": [[1, 2]]}), path)
    assert f"calls/{path.name}: 1 row holds" in reasons(run)


def test_a_picture_outside_of_its_attempt_is_not_shown(run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"\x89PNG secret")
    path = next(path for path in run.glob("cells/*/*/cell.json") if b'"failed"' in path.read_bytes())
    cell = json.loads(path.read_text())
    path.write_text(json.dumps(cell | {"artifacts": [str(tmp_path / "secret.png"), "../../../../../secret.png", ".."]}))
    assert command("report", run).code == ExitCode.PASS
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "secret" not in page
    assert "data:image/png" not in page


def test_a_folder_in_the_way_of_a_report_is_told_and_nothing_half_written_is_left(run: Path) -> None:
    (run / "report.html").unlink()
    (run / "report.html").mkdir()
    said = command("report", run)
    assert said.code == ExitCode.INVALID
    assert "report.html cannot be written: a folder has that name" in said.err
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("what", ["nothing", "empty", "file", "other", "loop", "long", "[red]x"])
def test_no_run_is_exit_2_with_the_same_sentence_everywhere(good: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / (what if what != "long" else "x" * 300)
    match what:
        case "empty":
            path.mkdir()
        case "file":
            path.write_text("x")
        case "other":
            (path / "photos").mkdir(parents=True)
        case "loop":
            path.symlink_to(path.name)
    said = [command("gate", path), command("report", path), command("history", path), command("compare", path, good),
            command("compare", good, path)]  # fmt: skip
    assert {each.code for each in said} == {ExitCode.USAGE}
    assert len({each.err for each in said}) == 1
    # A long name is cut where it is shown: 80 characters tell which one it is.
    assert str(path)[:70] in said[0].err.replace("\n", "")
    assert "Missing" not in said[0].err


@pytest.mark.parametrize(
    "spoil",
    [lambda path: path.write_bytes(b"{"), lambda path: path.write_bytes(b'{"verdict": 7}'), lambda path: path.unlink(),
     lambda path: path.write_bytes(b"[" * 100_000), lambda path: path.write_bytes(b'{"format": 99}')],
    ids=["torn", "wrong", "gone", "deep", "newer"],
)  # fmt: skip
def test_one_bad_run_hides_no_other_from_history_and_compare_names_its_file(
    good: Path, run: Path, spoil: Callable[[Path], None]
) -> None:
    shutil.copytree(good, run.with_name("another"))
    spoil(run / "summary.json")
    listed = command("history", run.parent, "--json")
    assert listed.code == ExitCode.PASS
    rows = {row["run"]: row for row in json.loads(listed.out)}
    assert rows["another"]["calls"] == 12
    assert rows["run"]["verdict"] in {"unreadable", "no report"}
    assert "summary.json" in rows["run"]["problem"] or rows["run"]["verdict"] == "no report"
    assert rows["run"]["problem"] in command("history", run.parent).out
    compared = command("compare", good, run)
    assert compared.code == ExitCode.USAGE
    assert f"{run / 'summary.json'}" in compared.err


def test_history_names_brackets_and_escapes_as_they_are(run: Path) -> None:
    run.rename(run.with_name("[red]run\x1b[2J"))
    said = command("history", run.parent)
    assert said.code == ExitCode.PASS
    assert "[red]run " in said.out
    assert "\x1b" not in said.out


def test_a_run_of_its_own_is_a_history_of_one(run: Path) -> None:
    assert [row["run"] for row in json.loads(command("history", run, "--json").out)] == ["run"]


def test_records_hold_no_value_that_was_not_measured(tmp_path: Path) -> None:
    """A figure that came out as NaN is written as none, and spoils neither its row nor the run."""
    edited = healthy(
        calls=12, messages=6, cells=False, ramp_s=2.0, peak_s=4.0, talk_s=3.0,
        edit_leg=lambda leg: msgspec.structs.replace(leg, rtt_ms=float("nan")),
    )  # fmt: skip
    run = edited.write(tmp_path / "run")
    legs = [LegRecord(**row) for path in (run / "calls").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    shutil.rmtree(run / "calls")
    from calls.records.segments import SegmentWriter

    writer = SegmentWriter(run / "calls", LegRecord, "swarm-0")
    for leg in legs:
        writer.append(leg)
    writer.flush()
    assert command("gate", run).code != ExitCode.INVALID

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from synthetic_run_folder import healthy, write_segments

from calls.records.record import LegRecord
from calls.records.segments import SegmentWriter
from reports.errors import NewerFormat
from reports.run.run_folder import find_run
from reports.run.store import RunStore


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return healthy(calls=60, messages=50, cells=False).write(tmp_path / "run")


def _segment(run: Path) -> Path:
    return sorted((run / "calls").glob("*.parquet"))[0]


def test_every_row_of_every_segment_is_read(run: Path) -> None:
    with RunStore(find_run(run)) as store:
        rows = sum(pq.read_metadata(path).num_rows for path in (run / "calls").glob("*.parquet"))
        assert store.value("SELECT count(*) FROM legs") == rows
        assert store.value("SELECT count(*) FROM messages") == 50
        assert store.value("SELECT count(*) FROM samples") == 50
        assert store.segments.unreadable == []
        assert store.segments.read == 14


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "page"])
def test_a_torn_segment_is_skipped_and_named_and_the_rest_is_read(run: Path, damage: str) -> None:
    torn = _segment(run)
    whole, lost = torn.read_bytes(), pq.read_metadata(torn).num_rows
    broken = {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"not parquet"}
    torn.write_bytes(broken.get(damage, whole[:4] + b"\xff" * 3000 + whole[3004:]))
    rows = sum(pq.read_metadata(path).num_rows for path in (run / "calls").glob("*.parquet") if path != torn)
    with RunStore(find_run(run)) as store:
        assert store.value("SELECT count(*) FROM legs") == rows
        assert lost > 0
        assert store.segments.read == 13
        assert len(store.segments.unreadable) == 1
        assert store.segments.unreadable[0].startswith(f"calls/{torn.name}: ")


def test_a_segment_that_is_still_being_written_is_not_looked_at(run: Path) -> None:
    (run / "calls" / ".swarm-0-000009.parquet.123").write_bytes(b"half")
    (run / "calls" / ".swarm-0-000010.parquet").write_bytes(b"half")
    with RunStore(find_run(run)) as store:
        assert store.segments.unreadable == []


def test_an_older_segment_without_todays_columns_gets_the_defaults(run: Path) -> None:
    old = _segment(run)
    table = pq.read_table(old).drop_columns(["audio_score", "link_lost", "scenario"])
    pq.write_table(table, old)
    with RunStore(find_run(run)) as store:
        assert store.value("SELECT count(*) FROM legs WHERE scenario IS NULL OR link_lost IS NULL") == 0
        assert store.value("SELECT count(*) FROM legs WHERE scenario = ''") == table.num_rows


def test_columns_that_no_segment_has_and_columns_of_tomorrow_are_no_trouble(tmp_path: Path) -> None:
    run = healthy(calls=20, messages=0, cells=False).write(tmp_path / "run")
    for path in (run / "calls").glob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.drop_columns(["audio_score"]).append_column("mood", table.column("person")), path)
    with RunStore(find_run(run)) as store:
        assert store.value("SELECT count(audio_score) FROM legs") == 0
        assert store.value("SELECT count(*) FROM legs") > 20


def test_a_newer_record_is_refused_with_a_sentence(run: Path) -> None:
    path = _segment(run)
    table = pq.read_table(path)
    newer = table.set_column(0, "format", [[7] * table.num_rows])
    pq.write_table(newer, path)
    with pytest.raises(NewerFormat, match="holds call records of format 7"):
        RunStore(find_run(run))


def test_a_run_folder_without_records_has_empty_tables(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    with RunStore(find_run(tmp_path)) as store:
        for table in ("legs", "messages", "health", "samples", "cells"):
            assert store.value(f"SELECT count(*) FROM {table}") == 0


def test_what_the_engines_writer_writes_is_what_the_store_reads(tmp_path: Path, run: Path) -> None:
    with RunStore(find_run(run)) as store:
        rows = [LegRecord(**row) for row in store.records("SELECT * FROM legs ORDER BY call_id, side LIMIT 20")]
    other = tmp_path / "other"
    writer = SegmentWriter(other / "calls", LegRecord, "swarm-0")
    for row in rows:
        writer.append(row)
    writer.flush()
    write_segments(other / "health", [], parts=1)
    with RunStore(find_run(other)) as store:
        read = [LegRecord(**row) for row in store.records("SELECT * FROM legs ORDER BY call_id, side")]
    assert [msgspec.to_builtins(row) for row in read] == [msgspec.to_builtins(row) for row in rows]


def test_the_run_folder_itself_is_never_written_to(run: Path) -> None:
    before = sorted(path.relative_to(run) for path in run.rglob("*"))
    with RunStore(find_run(run)) as store:
        store.execute("CREATE TABLE mine (a INT)")
    assert sorted(path.relative_to(run) for path in run.rglob("*")) == before


@pytest.mark.parametrize("name", ["[a]run*?", "{a,b}", "it's", "run-\udcff-latin-1"])
def test_a_run_and_its_segments_are_read_whatever_they_are_called(run: Path, name: str) -> None:
    odd = run.rename(run.with_name(name))
    segment = _segment(odd)
    segment.rename(segment.with_name(f"{name}.parquet"))
    with RunStore(find_run(odd)) as store:
        assert store.segments.unreadable == []
        assert store.value("SELECT count(*) FROM legs") > 0
        assert store.value("SELECT count(*) FROM samples") == 50

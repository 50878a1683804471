from __future__ import annotations

import errno
from pathlib import Path

import duckdb
import msgspec
import pyarrow.parquet
import pytest

import calls.records.segments
from calls.errors import SegmentNotWritten
from calls.records.record import Blame, LegRecord, Outcome, Side, Stage, Tier
from calls.records.segments import SegmentWriter, arrow_schema


def leg(call_id: str, **fields: object) -> LegRecord:
    return LegRecord(
        **{  # type: ignore[arg-type]
            "run_id": "r1",
            "call_id": call_id,
            "side": Side.CALLER,
            "tier": Tier.PACKETS,
            "source": "swarm",
            "writer": "swarm-0",
            "person": "ana",
            "peer": "ben",
            "outcome": Outcome.COMPLETED,
            "intended_at_s": 100.0,
            "started_at_s": 100.5,
            "ended_at_s": 130.25,
            **fields,
        }
    )


def read(folder: Path) -> list[tuple[object, ...]]:
    with duckdb.connect() as database:
        rows: list[tuple[object, ...]] = database.execute(
            f"SELECT call_id, outcome, blame, stage, mos_lq, packets_sent FROM '{folder}/*.parquet' ORDER BY call_id"
        ).fetchall()
    return rows


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "calls", LegRecord, "swarm-0")
    writer.append(leg("a", packets_sent=7, mos_lq=4.1))
    writer.append(leg("b", outcome=Outcome.FAILED, blame=Blame.TARGET, stage=Stage.ICE))
    assert writer.waiting() == 2
    path = writer.flush()
    assert path == tmp_path / "calls" / "swarm-0-000000.parquet"
    assert writer.waiting() == 0
    assert read(tmp_path / "calls") == [
        ("a", "completed", "", "attempted", 4.1, 7),
        ("b", "failed", "target", "ice", None, 0),
    ]


def test_columns_are_the_fields_in_order_with_their_types() -> None:
    schema = arrow_schema(LegRecord)
    assert tuple(schema.names) == LegRecord.__struct_fields__
    assert str(schema.field("format").type) == "int64"
    assert str(schema.field("outcome").type) == "string"
    assert str(schema.field("hung_up_cleanly").type) == "bool"
    assert schema.field("mos_lq").nullable
    assert not schema.field("run_id").nullable


def test_a_column_of_nothing_but_none_keeps_its_type(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, LegRecord, "w")
    writer.append(leg("a"))
    path = writer.flush()
    assert str(pyarrow.parquet.read_schema(path).field("mos_lq").type) == "double"


def test_a_field_that_no_column_can_hold_is_refused() -> None:
    class Odd(msgspec.Struct):
        things: list[int]

    with pytest.raises(TypeError, match="things"):
        arrow_schema(Odd)


def test_an_empty_flush_writes_nothing(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "calls", LegRecord, "w")
    assert writer.flush() is None
    assert not (tmp_path / "calls").exists()


def test_a_second_life_of_a_writer_overwrites_nothing(tmp_path: Path) -> None:
    for call_id in ("a", "b"):
        writer = SegmentWriter(tmp_path, LegRecord, "swarm-1")
        writer.append(leg(call_id))
        writer.flush()
    other = SegmentWriter(tmp_path, LegRecord, "swarm-10")
    other.append(leg("c"))
    other.flush()
    assert sorted(path.name for path in tmp_path.glob("*.parquet")) == [
        "swarm-1-000000.parquet",
        "swarm-1-000001.parquet",
        "swarm-10-000000.parquet",
    ]
    assert [row[0] for row in read(tmp_path)] == ["a", "b", "c"]


def test_a_full_disk_is_told_and_keeps_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SegmentWriter(tmp_path, LegRecord, "w")
    writer.append(leg("a"))

    def refuse(table: object, where: Path, **_: object) -> None:
        where.write_bytes(b"half a segm")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pyarrow.parquet, "write_table", refuse)
        with pytest.raises(SegmentNotWritten, match="No space left on device"):
            writer.flush()
    assert list(tmp_path.iterdir()) == []
    writer.append(leg("b"))
    writer.flush()
    assert [row[0] for row in read(tmp_path)] == ["a", "b"]


def test_rows_kept_for_a_retry_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls.records.segments, "MAX_KEPT_ROWS", 3)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    writer = SegmentWriter(blocked, LegRecord, "w")
    for number in range(5):
        writer.append(leg(str(number)))
    with pytest.raises(SegmentNotWritten):
        writer.flush()
    assert writer.waiting() == 3
    assert writer.rows_given_up == 2

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.errors import NewerFormat
from reports.run.cells import CellAttempts, CellResult, CellStatus, merge_status, read_cells, write_cell

STATUSES = st.lists(st.sampled_from(list(CellStatus)), min_size=1, max_size=6)


def _result(**changes: Any) -> CellResult:
    fields: dict[str, Any] = {
        "cell": "redmi_go--gprs_2g--audio_call", "device": "redmi_go", "network": "gprs_2g", "scenario": "audio_call",
        "status": CellStatus.PASSED,
    }  # fmt: skip
    return CellResult(**{**fields, **changes})


@given(STATUSES)
def test_the_order_of_attempts_never_matters(statuses: list[CellStatus]) -> None:
    assert {merge_status(order) for order in itertools.permutations(statuses)} == {merge_status(statuses)}


@given(STATUSES, STATUSES)
def test_merging_is_monotone_no_retry_can_hide_a_failure(first: list[CellStatus], more: list[CellStatus]) -> None:
    merged = merge_status([*first, *more])
    assert merged == merge_status([merge_status(first), merge_status(more)])
    if CellStatus.FAILED in first:
        assert merged is CellStatus.FAILED


def test_a_pass_after_an_environment_error_is_a_pass_and_keeps_both() -> None:
    cell = CellAttempts(
        (_result(attempt=1, status=CellStatus.ENVIRONMENT_ERROR, reason="link_off"), _result(attempt=2))
    )
    assert cell.status is CellStatus.PASSED
    assert cell.verdict_attempt.attempt == 2
    assert len(cell.attempts) == 2


def test_a_written_cell_reads_back_whole(tmp_path: Path) -> None:
    result = _result(figures={"setup_ms": 12.5, "codec": "opus", "none": None}, shaping={"ok": True, "down": {"n": 1}})
    path = write_cell(tmp_path, result)
    assert path == tmp_path / "cells" / "redmi_go--gprs_2g--audio_call" / "1" / "cell.json"
    assert read_cells(tmp_path).cells == (CellAttempts((result,)),)
    assert [entry.name for entry in path.parent.iterdir()] == ["cell.json"]


def test_attempts_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for attempt in (10, 2, 1):
        write_cell(tmp_path, _result(attempt=attempt))
    (cell,) = read_cells(tmp_path).cells
    assert [attempt.attempt for attempt in cell.attempts] == [1, 2, 10]


@pytest.mark.parametrize("written", [b"", b'{"cell": "x"', b"[]", b'{"cell": "x"}'])
def test_a_torn_cell_is_named_and_the_others_stay(tmp_path: Path, written: bytes) -> None:
    write_cell(tmp_path, _result())
    torn = tmp_path / "cells" / "torn" / "1" / "cell.json"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(written)
    found = read_cells(tmp_path)
    assert len(found.cells) == 1
    assert found.unreadable[0].startswith("cells/torn/1/cell.json: ")


def test_a_cell_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = write_cell(tmp_path, _result())
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 9, "status": "bliss"}))
    with pytest.raises(NewerFormat, match="has format 9"):
        read_cells(tmp_path)


@pytest.mark.parametrize("cell", ["", "..", "a/b", "/etc"])
def test_a_cell_name_cannot_leave_its_folder(tmp_path: Path, cell: str) -> None:
    with pytest.raises(ValueError, match="not a cell"):
        write_cell(tmp_path, _result(cell=cell))

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bedrock.whole_file import write_whole


def test_the_new_text_takes_the_place_of_the_old(tmp_path: Path) -> None:
    for text in (b"old", b"new"):
        write_whole(tmp_path / "it.json", text)
    assert (tmp_path / "it.json").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["it.json"]


def test_a_disk_that_refuses_leaves_the_old_text_and_no_other_file(tmp_path: Path) -> None:
    file = tmp_path / "it.json"
    file.write_bytes(b"old")
    (tmp_path / f".it.json.{os.getpid()}.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["it.json"]


def test_a_folder_of_that_name_stays(tmp_path: Path) -> None:
    (tmp_path / "it.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "it.json", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["it.json"]

"""Damages one thing in a run folder, drawn from a seed: a byte, a value, a column, or what kind of file it is."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Damage = Callable[[random.Random, Path], str]

HOSTILE_NUMBERS = (
    "1e18", "-1e18", "-1", "0", "1e308", "1e999", "-1e999", "NaN", "Infinity", "1e-320", "9" * 30, "9" * 5000,
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1790000000000", "2.5",
)  # fmt: skip
HOSTILE_VALUES = (
    *HOSTILE_NUMBERS, "null", "true", '""', "[]", "{}", "[null]", '[{"a": []}]', '{"a": {"b": {"c": 1}}}',
    '"\\u0000"', '"\\ud800"', '"\\u001b[31m"', '"../../../etc/passwd"', '"[red]x[/]"', '"' + "x" * 70_000 + '"',
    "[" * 400 + "]" * 400, "[" * 100_000, '{"a":' * 3000 + "1" + "}" * 3000,
)  # fmt: skip
HOSTILE_COLUMNS: Sequence[Callable[[int], pa.Array]] = (
    lambda rows: pa.array([float("nan")] * rows), lambda rows: pa.array([float("inf")] * rows),
    lambda rows: pa.array([-float("inf")] * rows), lambda rows: pa.array([1e18] * rows),
    lambda rows: pa.array([-1.0] * rows), lambda rows: pa.array([1e308] * rows), lambda rows: pa.array([0] * rows),
    lambda rows: pa.array([2**63 - 1] * rows), lambda rows: pa.array([-(2**63)] * rows),
    lambda rows: pa.array([None] * rows, pa.float64()), pa.nulls,
    lambda rows: pa.array(["text"] * rows), lambda rows: pa.array([""] * rows),
    lambda rows: pa.array(["\x1b[31m\x00"] * rows), lambda rows: pa.array([b"\xff\xfe"] * rows),
    lambda rows: pa.array([True] * rows), lambda rows: pa.array([[1, 2]] * rows),
    lambda rows: pa.array([{"a": 1}] * rows), lambda rows: pa.array([10**15] * rows, pa.timestamp("us")),
    lambda rows: pa.array(["x" * 50_000] * rows), lambda rows: pa.array([1.5e9 + n * 1e6 for n in range(rows)]),
)  # fmt: skip


def remove(_rng: random.Random, path: Path) -> str:
    """Takes the file or the folder away."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return "removed"


def another_kind(rng: random.Random, path: Path) -> str:
    """Puts something else in place of a file or a folder."""
    remove(rng, path)
    kind = rng.choice(["pipe", "folder", "socket", "loop", "nowhere", "zero", "null", "sparse", "empty", "itself"])
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                here = os.getcwd()
                os.chdir(path.parent)  # the name of a socket is short
                try:
                    bound.bind(path.name)
                finally:
                    os.chdir(here)
        case "loop":
            path.symlink_to(path.name)
        case "nowhere":
            path.symlink_to("gone")
        case "zero":
            path.symlink_to("/dev/zero")
        case "null":
            path.symlink_to("/dev/null")
        case "sparse":
            path.touch()
            os.truncate(path, 2**40)
        case "empty":
            path.touch()
        case "itself":
            path.symlink_to(path.parent)
    return kind


def some_bytes(rng: random.Random, path: Path) -> str:
    """Cuts, repeats, fills or flips bytes anywhere in the file."""
    written = bytearray(path.read_bytes())
    how = rng.choice(["cut", "flip", "many", "insert", "zeros", "twice", "garbage"])
    start = rng.randrange(max(1, len(written)))
    end = min(len(written), start + rng.choice([1, 8, 100, 3000]))
    match how:
        case "cut":
            del written[start:]
        case "flip":
            written[start:end] = bytes(byte ^ rng.randrange(256) for byte in written[start:end])
        case "many":
            for _ in range(20 if written else 0):
                written[rng.randrange(len(written))] = rng.randrange(256)
        case "insert":
            written[start:start] = rng.choice([b"\x00", b"\xff\xfe", b"\x1b[2J", b"\xef\xbb\xbf", b"\n", b'"', b"}"])
        case "zeros":
            written[start:end] = bytes(end - start)
        case "twice":
            written = written + written
        case "garbage":
            written = bytearray(rng.randbytes(rng.choice([1, 12, 4096])))
    path.write_bytes(written)
    return f"{how} at {start}"


def a_value(rng: random.Random, path: Path) -> str:
    """Replaces one value in a JSON file, or in one line of it, by one that does not belong there."""
    lines = path.read_text(encoding="utf-8").splitlines()
    whole = path.suffix != ".jsonl"
    place = 0 if whole else rng.randrange(len(lines))
    content = json.loads("\n".join(lines) if whole else lines[place])
    where, holder, key = rng.choice(_places(content, ""))
    holder[key] = "@@here@@"
    hostile = rng.choice(HOSTILE_VALUES)
    written = json.dumps(content).replace('"@@here@@"', hostile)
    if not whole:
        lines[place] = written
        written = "\n".join(lines) + "\n"
    path.write_text(written, encoding="utf-8")
    return f"{where} = {hostile[:40]}"


def a_column(rng: random.Random, path: Path) -> str:
    """Changes one column of a segment: its type, its values, its name; or takes it away."""
    table = pq.read_table(path)
    name = rng.choice(table.column_names)
    index = table.column_names.index(name)
    how = rng.choice(["values", "values", "values", "one", "drop", "rename", "twice", "empty", "only"])
    match how:
        case "values" | "one":
            column = rng.choice(HOSTILE_COLUMNS)(table.num_rows)
            if how == "one" and column.type == table.column(index).type and table.num_rows > 1:
                column = pa.concat_arrays([column[:1], table.column(index).combine_chunks()[1:]])
            table = table.set_column(index, name, column)
            how = f"{how} {column.type} {str(column[0])[:20] if len(column) else ''}"
        case "drop":
            table = table.drop_columns([name])
        case "rename":
            names = [f"{each} x" if each == name else each for each in table.column_names]
            table = table.rename_columns(names)
        case "twice":
            table = table.append_column(name.upper(), table.column(index))
        case "empty":
            table = table.slice(0, 0)
        case "only":
            table = table.select([name])
    pq.write_table(table, path)
    return f"{name}: {how}"


def damage(rng: random.Random, run: Path, only: str = "") -> str:
    """Damages one thing in ``run``, or in the one file of it, and returns what was done."""
    files = sorted(path for path in run.rglob("*") if path.is_file() and (not only or path.name == only))
    folders = sorted(path for path in run.rglob("*") if path.is_dir())
    if not only and rng.random() < 0.07:
        path, ways = rng.choice(folders), [another_kind, remove]
    else:
        path = rng.choice(files)
        fine = [a_column] * 6 if path.suffix == ".parquet" else [a_value] * 6 if "json" in path.suffix else []
        ways = [*fine, some_bytes, some_bytes, another_kind, remove]
    way: Damage = rng.choice(ways)
    name = path.relative_to(run)
    return f"{name}: {way.__name__}: {way(rng, path)}"


def _places(content: Any, under: str) -> list[tuple[str, Any, Any]]:
    """Every place in nested tables, as (dotted name, what holds it, key)."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    found = []
    for key, value in pairs:
        where = f"{under}.{key}"
        found += [(where, content, key), *_places(value, where)]
    return found

"""The run store: DuckDB tables over a folder's parquet segments. A segment that cannot be read is skipped and named.

Tables ``legs``, ``messages``, ``lists``, ``health``, ``windows`` and ``probes`` have the columns of calls/record.py;
``samples`` is a view. A column that an older version did not write yet gets its default; the score of a probe is joined
into its leg. The database lives in a temporary file, so a million legs cost disk, not memory.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bedrock.scratch import ScratchFolder
from calls.record import RECORD_FORMAT, HealthRow, LegRecord, ListRow, MessageRow, ProbeRow, SampleRow, WindowRow
from reports.cells import Cell, read_cells
from reports.errors import NewerFormat
from reports.run_folder import RunFolder

FOLDERS: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "legs": ("calls", LegRecord),
    "messages": ("messages", MessageRow),
    "lists": ("lists", ListRow),
    "health": ("health", HealthRow),
    "samples": ("samples", SampleRow),
    "windows": ("windows", WindowRow),
    "probes": ("probes", ProbeRow),
}
"""Table name -> its folder and the struct that gives its columns."""

MEMORY_LIMIT = "1GB"
_TYPES: dict[type, str] = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}


@dataclass(slots=True)
class Segments:
    """How many segment files were read, and which were not."""

    read: int = 0
    unreadable: list[str] = field(default_factory=list)
    """``folder/file: why``."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    kind: str
    """Its SQL type."""
    default: Any

    @property
    def quoted(self) -> str:
        return f'"{self.name}"'


class RunStore:
    """An open run folder, ready to be asked. Use as a context manager."""

    def __init__(self, folder: RunFolder) -> None:
        """Reads every segment and every cell. Raises NewerFormat when a record is of a newer version."""
        self.folder = folder
        self.segments = Segments()
        self._temporary = ScratchFolder()
        self._database = duckdb.connect(str(self._temporary.path / "run.duckdb"))
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Drops the temporary database. The run folder itself is never written to."""
        self._database.close()
        self._temporary.remove()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Returns every row of a query."""
        return self._database.execute(sql, list(parameters)).fetchall()

    def records(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Returns every row of a query as column name -> value."""
        cursor = self._database.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Returns the one value of a query, None when it has no row."""
        row = self._database.execute(sql, list(parameters)).fetchone()
        return row[0] if row else None

    def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> None:
        """Runs a statement that has no answer, e.g. the making of a derived table."""
        self._database.execute(sql, parameters if isinstance(parameters, dict) else list(parameters))

    def _load(self) -> None:
        self.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        self.execute("SET preserve_insertion_order = false")
        for table in FOLDERS:
            self._load_table(table)
        newest = self.value("SELECT max(format) FROM legs")
        if newest is not None and newest > RECORD_FORMAT:
            raise NewerFormat(
                f"{self.folder.path} holds call records of format {newest}, and this version of ringfence reads up to "
                f"format {RECORD_FORMAT}",
                hint="read this run with the version of ringfence that wrote it, or a later one",
            )
        self.execute(_JOIN_PROBES)
        self.cells = read_cells(self.folder.path)
        self._load_cells(self.cells.cells)

    def _load_table(self, table: str) -> None:
        folder, struct = FOLDERS[table]
        columns = _columns(struct)
        files = self._readable(sorted((self.folder.path / folder).glob("[!.]*.parquet")))
        definitions = ", ".join(f"{column.quoted} {column.kind}" for column in columns)
        self.execute(f"CREATE TABLE {table} ({definitions})")
        if table == "samples":
            self._view_samples(files, columns)
            return
        try:
            self._insert(table, files, columns)
        except duckdb.Error:
            for file in files:
                self._insert_alone(table, file, columns)

    def _readable(self, files: list[Path]) -> list[Path]:
        """Returns the files whose footer is whole: a torn parquet file has none."""
        readable = []
        for file in files:
            try:
                pq.read_metadata(file)
            except (OSError, pa.ArrowException) as error:
                self._skip(file, error)
            else:
                readable.append(file)
        self.segments.read += len(readable)
        return readable

    def _skip(self, file: Path, error: Exception) -> None:
        why = "the file is empty" if file.stat().st_size == 0 else str(error).splitlines()[0]
        self.segments.unreadable.append(f"{file.relative_to(self.folder.path)}: {why}")

    def _insert(self, table: str, files: list[Path], columns: list[Column]) -> None:
        if files:
            sql, parameters = self._select(files, columns)
            self.execute(f"INSERT INTO {table} {sql}", parameters)

    def _insert_alone(self, table: str, file: Path, columns: list[Column]) -> None:
        try:
            self._insert(table, [file], columns)
        except duckdb.Error as error:
            self.segments.read -= 1
            self._skip(file, error)

    def _select(self, files: list[Path], columns: list[Column]) -> tuple[str, list[Any]]:
        """A query of ``columns`` in order; one that no file has, or that is null where it may not be, is defaulted."""
        names = [str(file) for file in files]
        described = self.rows("DESCRIBE SELECT * FROM read_parquet(?, union_by_name = true)", [names])
        present = {row[0] for row in described}
        parts, parameters = [], []
        for column in columns:
            default = f"CAST(? AS {column.kind})"
            if column.name not in present:
                parts.append(f"{default} AS {column.quoted}")
            else:
                parts.append(f"coalesce(CAST({column.quoted} AS {column.kind}), {default}) AS {column.quoted}")
            parameters.append(column.default)
        return f"SELECT {', '.join(parts)} FROM read_parquet(?, union_by_name = true)", [*parameters, names]

    def _view_samples(self, files: list[Path], columns: list[Column]) -> None:
        if not files:
            return
        present = {name for file in files for name in pq.read_schema(file).names}
        kept = ", ".join(column.quoted for column in columns if column.name in present)
        quoted = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
        self.execute("DROP TABLE samples")
        self.execute(f"CREATE VIEW samples AS SELECT {kept} FROM read_parquet([{quoted}], union_by_name = true)")

    def _load_cells(self, cells: Sequence[Cell]) -> None:
        names = ("cell", "device", "device_class", "network", "generation", "scenario", "driver", "tier", "status")
        self.execute(f"CREATE TABLE cells ({', '.join(f'{name} VARCHAR' for name in names)}, emulated BOOLEAN)")
        self.execute("CREATE TABLE void_attempts (cell VARCHAR, attempt INTEGER)")
        for cell in cells:
            for void in cell.environment_errors:
                self.execute("INSERT INTO void_attempts VALUES (?, ?)", [void.cell, void.attempt])
            attempt = cell.verdict_attempt
            values = [str(getattr(attempt, name)) for name in names]
            self.execute(f"INSERT INTO cells VALUES ({', '.join('?' * 10)})", [*values, attempt.emulated])


_JOIN_PROBES = """
UPDATE legs SET visqol_mos_lq = probes.visqol_mos_lq,
    mouth_to_ear_ms = coalesce(probes.mouth_to_ear_ms, legs.mouth_to_ear_ms)
FROM probes
WHERE probes.call_id = legs.call_id AND probes.side = legs.side AND probes.visqol_mos_lq IS NOT NULL
"""
"""A probe's score comes after its leg's row, out of another process."""


def _columns(struct: type[msgspec.Struct]) -> list[Column]:
    """The struct's fields as columns."""
    hints = typing.get_type_hints(struct)
    columns = []
    for info in msgspec.structs.fields(struct):
        default = None if info.default is msgspec.NODEFAULT else info.default
        plain = default.value if isinstance(default, enum.Enum) else default
        columns.append(Column(info.name, _sql_type(hints[info.name]), plain))
    return columns


def _sql_type(hint: Any) -> str:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return "VARCHAR" if isinstance(hint, type) and issubclass(hint, enum.Enum) else _TYPES[hint]

"""Loads the Parquet segments of a run folder into DuckDB tables. A segment that cannot be read is skipped and named.

Rows with impossible values are left out: an impossible time or number, or an empty required value. Their segment is
named, too. One such row would distort every chart and percentile.

Tables ``legs``, ``messages``, ``lists``, ``health``, ``windows`` and ``probes`` have the columns of ``calls.records``;
``samples`` is a view. A column that an older version did not write gets its default. The score of a probe call is
joined into its leg. The database is a temporary file, so a million legs need disk, not memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bedrock.foreign_text import clean_all
from bedrock.scratch import ScratchFolder
from calls.records.record import RECORD_FORMAT
from reports.errors import NewerFormat
from reports.run.cells import CellAttempts, read_cells
from reports.run.columns import FOLDERS, Column, columns_of, impossible_value_sql
from reports.run.file_input import Unreadable, list_folder, require_regular
from reports.run.run_folder import END_OF_TIME_S, RunFolder

MEMORY_LIMIT = "1GB"
MOST_ROWS = 20_000_000
"""Rows of one segment. Our processes flush every second, so a file with more rows is damaged."""
LONGEST_RUN_S = 31 * 86_400.0
"""Records further than this from the median time belong to another run, or to a broken clock."""


@dataclass(slots=True)
class Segments:
    """How many segment files were read, and which were not."""

    read: int = 0
    unreadable: list[str] = field(default_factory=list)
    """``folder/file: why``."""


class RunStore:
    """An open run folder that answers SQL queries. Use it as a context manager."""

    def __init__(self, folder: RunFolder) -> None:
        """Reads every segment and every cell. Raises NewerFormat when a record is of a newer version."""
        self.folder = folder
        self.segments = Segments()
        self._files: dict[str, list[Path]] = {}
        self._names: dict[Path, str] = {}
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
        return [tuple(map(clean_all, row)) for row in self._database.execute(sql, list(parameters)).fetchall()]

    def records(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Returns every row of a query as column name -> value."""
        cursor = self._database.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, map(clean_all, row), strict=True)) for row in cursor.fetchall()]

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Returns the single value of a query. None when it has no row."""
        row = self._database.execute(sql, list(parameters)).fetchone()
        return clean_all(row[0]) if row else None

    def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> None:
        """Runs a statement without a result, e.g. one that creates a table."""
        self._database.execute(sql, parameters if isinstance(parameters, dict) else list(parameters))

    def _load(self) -> None:
        self.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        self.execute("SET preserve_insertion_order = false")
        for table in FOLDERS:
            self._load_table(table)
        self._leave_out_impossible_rows()
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
        columns = columns_of(struct)
        files = self._readable(folder)
        definitions = ", ".join(f"{column.quoted} {column.kind}" for column in columns)
        self.execute(f"CREATE TABLE {table} ({definitions})")
        try:
            if table == "samples":
                self._view_samples(files, columns)
            else:
                self._insert(table, files, columns)
        except duckdb.Error:
            files = [file for file in files if self._insert_alone(table, file, columns)]
        self._files[table] = files

    def _readable(self, folder: str) -> list[Path]:
        """Returns the segments with a whole footer. A torn Parquet file has none."""
        try:
            found = list_folder(self.folder.path / folder)
        except Unreadable as error:
            self.segments.unreadable.append(f"{folder}: {error}")
            return []
        readable = []
        for file in found:
            if file.name.startswith(".") or file.suffix != ".parquet":
                continue
            try:
                require_regular(file)
                with file.open("rb") as opened:
                    rows = pq.read_metadata(opened).num_rows
                if rows > MOST_ROWS:
                    raise Unreadable(f"claims {rows} rows")
            except FileNotFoundError:
                continue
            except (Unreadable, OSError, ValueError, MemoryError, pa.ArrowException) as error:
                self._skip(file, error)
            else:
                readable.append(file)
        self.segments.read += len(readable)
        return readable

    def _plain_name(self, file: Path) -> str:
        """Returns a link to the segment with a plain name.

        DuckDB reads a bracket in a path as a pattern, and refuses a name that is not in the encoding of the locale.
        """
        if file not in self._names:
            link = self._temporary.path / f"{len(self._names)}.parquet"
            link.symlink_to(file)
            self._names[file] = str(link)
        return self._names[file]

    def _skip(self, file: Path, error: Exception) -> None:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        why = clean_all(why.replace(self._names.get(file, "\0"), file.name))
        if file.is_file() and file.stat().st_size == 0:
            why = "the file is empty"
        self.segments.unreadable.append(f"{file.relative_to(self.folder.path)}: {why}")

    def _leave_out_impossible_rows(self) -> None:
        moments = " UNION ALL ".join(
            f"SELECT {column} AS at_s FROM {table}"
            for table, column in (("legs", "started_at_s"), ("health", "at_s"), ("messages", "at_s"), ("lists", "at_s"))
        )
        middle_s = self.value(
            f"SELECT quantile_disc(at_s, 0.5) FROM ({moments}) WHERE at_s BETWEEN 0 AND ?", [END_OF_TIME_S]
        )
        low_s, high_s = 0.0, END_OF_TIME_S
        if middle_s is not None:
            low_s, high_s = max(low_s, middle_s - LONGEST_RUN_S), min(high_s, middle_s + LONGEST_RUN_S)
        for table, (_folder, struct) in FOLDERS.items():
            if table != "samples":
                self._leave_out(table, columns_of(struct), low_s, high_s)
        self._trust_times_between(low_s, high_s)

    def _leave_out(self, table: str, columns: list[Column], low_s: float, high_s: float) -> None:
        impossible = " OR ".join(impossible_value_sql(column, low_s, high_s) for column in columns)
        if not self.value(f"SELECT count(*) FROM {table} WHERE {impossible}"):
            return
        self.execute(f"DELETE FROM {table} WHERE {impossible}")
        for file in self._files[table]:
            sql, parameters = self._select([file], columns)
            bad = self.value(f"SELECT count(*) FROM ({sql}) WHERE {impossible}", parameters)
            if bad:
                name = file.relative_to(self.folder.path)
                rows = "row holds" if bad == 1 else "rows hold"
                self.segments.unreadable.append(f"{name}: {bad} {rows} a time or a number that no run can have")

    def _trust_times_between(self, low_s: float, high_s: float) -> None:
        """Removes a start or an end from the manifest that is far from all records of the run."""
        manifest, problems = self.folder.manifest, list(self.folder.problems)
        for name in ("started_at_s", "ended_at_s"):
            at_s = getattr(manifest, name, None)
            if manifest is not None and at_s is not None and not low_s <= at_s <= high_s:
                problems.append(f"manifest.json has a wrong value: {name} is {at_s:.0f}, far from every record")
                manifest = msgspec.structs.replace(manifest, **{name: None})
        if manifest is not self.folder.manifest:
            self.folder = dataclasses.replace(self.folder, manifest=manifest, problems=tuple(problems))

    def _insert(self, table: str, files: list[Path], columns: list[Column]) -> None:
        if files:
            sql, parameters = self._select(files, columns)
            self.execute(f"INSERT INTO {table} {sql}", parameters)

    def _insert_alone(self, table: str, file: Path, columns: list[Column]) -> bool:
        try:
            self._insert(table, [file], columns)
        except duckdb.Error as error:
            self.segments.read -= 1
            self._skip(file, error)
            return False
        return True

    def _select(self, files: list[Path], columns: list[Column]) -> tuple[str, list[Any]]:
        """Returns a query of ``columns`` in order. A column that no file has, or a null, gets its default."""
        names = [self._plain_name(file) for file in files]
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
        names = [self._plain_name(file) for file in files]
        described = self.rows("DESCRIBE SELECT * FROM read_parquet(?, union_by_name = true)", [names])
        present = {row[0] for row in described}
        kept = ", ".join(column.quoted for column in columns if column.name in present) or "NULL AS nothing"
        quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
        self.execute("DROP TABLE samples")
        self.execute(f"CREATE VIEW samples AS SELECT {kept} FROM read_parquet([{quoted}], union_by_name = true)")

    def _load_cells(self, cells: Sequence[CellAttempts]) -> None:
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
"""The score of a probe call is written after its leg, by another process."""

"""Writes Parquet segments whole: under a temporary name first, then renamed into place.

Any number of writers share a folder without a lock, because each has its own name. A reader that lists ``*.parquet``
sees only whole files. A crash loses only the rows that were not flushed yet.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import threading
import types
import typing
from collections import deque
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from bedrock.foreign_text import clean
from calls.errors import SegmentNotWritten

MAX_KEPT_ROWS = 200_000
"""Rows kept for a retry while the disk refuses them. Beyond that the oldest are dropped and counted."""

FINAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM})
"""Errors that do not pass by themselves."""

RowT = TypeVar("RowT", bound=msgspec.Struct)


class SegmentWriter(Generic[RowT]):
    """Writes rows of one type into one folder. ``append`` never blocks; ``flush`` does, so call it off the loop."""

    def __init__(self, folder: Path, row_type: type[RowT], writer: str) -> None:
        self.folder = folder
        self.writer = writer
        self.rows_given_up = 0
        self._row_type = row_type
        self._schema = arrow_schema(row_type)
        self._rows: deque[RowT] = deque()
        self._flushing = threading.Lock()
        self._next = _first_free(folder, writer)

    def append(self, row: RowT) -> None:
        """Queues ``row`` for the next flush."""
        self._rows.append(row)

    def waiting(self) -> int:
        """Returns how many rows wait for a flush."""
        return len(self._rows)

    def flush(self) -> Path | None:
        """Writes the queued rows as one segment and returns its path; None, and no file, without rows.

        Raises SegmentNotWritten when the disk refuses; the rows stay for the next flush. Safe from any thread.
        """
        with self._flushing:
            # A deque's operations are atomic, so the loop may append while a thread flushes.
            rows = [self._rows.popleft() for _ in range(len(self._rows))]
            if not rows:
                return None
            path = self.folder / f"{self.writer}-{self._next:06d}.parquet"
            try:
                self._write(rows, path)
            except OSError as error:
                self._keep(rows)
                raise SegmentNotWritten(
                    f"{path} cannot be written: {error.strerror or error}",
                    hint=f"{len(self._rows)} rows are kept for the next try",
                    is_final=error.errno in FINAL,
                ) from error
            self._next += 1
            return path

    def _write(self, rows: list[RowT], path: Path) -> None:
        import pyarrow
        from pyarrow import parquet

        columns = [[_plain(getattr(row, field.name), field.nullable) for row in rows] for field in self._schema]
        table = pyarrow.table(columns, schema=self._schema)
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            parquet.write_table(table, temporary, compression="zstd")
            temporary.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def _keep(self, rows: list[RowT]) -> None:
        self._rows.extendleft(reversed(rows))
        while len(self._rows) > MAX_KEPT_ROWS:
            self._rows.popleft()
            self.rows_given_up += 1


def arrow_schema(row_type: type[msgspec.Struct]) -> Any:
    """Returns the pyarrow schema of a struct: one column per field, in order. Only ``X | None`` may be null.

    Raises TypeError for a field that is not text, int, float, bool, an enum of text, or one of these or None.
    """
    import pyarrow

    hints = typing.get_type_hints(row_type)
    return pyarrow.schema([_arrow_field(name, hints[name]) for name in row_type.__struct_fields__])


def _arrow_field(name: str, hint: Any) -> Any:
    import pyarrow

    nullable = False
    if isinstance(hint, types.UnionType):
        inner = [part for part in hint.__args__ if part is not type(None)]
        nullable = len(inner) < len(hint.__args__)
        hint = inner[0] if len(inner) == 1 else hint
    by_type = {bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    column = by_type.get(hint)
    if column is None and isinstance(hint, type) and issubclass(hint, str):
        column = pyarrow.string()
    if column is None:
        raise TypeError(f"a column cannot hold {name}: {hint}")
    return pyarrow.field(name, column, nullable=nullable)


def _plain(value: object, nullable: bool) -> object:
    """Returns a value as it goes into a column. Text from a target or a page is cleaned here, for every record.

    A float that is not finite becomes null, where the column allows it: it was not measured.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and nullable and not math.isfinite(value):
        return None
    return clean(value) if isinstance(value, str) else value


def _first_free(folder: Path, writer: str) -> int:
    taken = [path.stem.rpartition("-") for path in folder.glob(f"{writer}-*.parquet")]
    numbers = [int(number) for name, _, number in taken if name == writer and number.isdigit()]
    return max(numbers, default=-1) + 1

"""Maps the record structs to table columns, and says in SQL which values no run can have written."""

from __future__ import annotations

import enum
import types
import typing
from dataclasses import dataclass
from typing import Any

import msgspec

from calls.records.record import HealthRow, LegRecord, ListRow, MessageRow, ProbeRow, SampleRow, WindowRow

FOLDERS: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "legs": ("calls", LegRecord),
    "messages": ("messages", MessageRow),
    "lists": ("lists", ListRow),
    "health": ("health", HealthRow),
    "samples": ("samples", SampleRow),
    "windows": ("windows", WindowRow),
    "probes": ("probes", ProbeRow),
}
"""Table name -> its folder, and the struct with its columns."""

LARGEST_NUMBER = 1e15
"""No measured count or time comes near this, in any unit."""
_TYPES: dict[type, str] = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    kind: str
    """Its SQL type."""
    default: Any
    required: bool = False
    """Whether every row has a value in it."""

    @property
    def quoted(self) -> str:
        return f'"{self.name}"'


def columns_of(struct: type[msgspec.Struct]) -> list[Column]:
    """Returns the fields of a record struct as columns."""
    hints = typing.get_type_hints(struct)
    columns = []
    for info in msgspec.structs.fields(struct):
        default = None if info.default is msgspec.NODEFAULT else info.default
        plain = default.value if isinstance(default, enum.Enum) else default
        required = type(None) not in typing.get_args(hints[info.name])
        columns.append(Column(info.name, _sql_type(hints[info.name]), plain, required))
    return columns


def impossible_value_sql(column: Column, low_s: float, high_s: float) -> str:
    """Returns SQL that is true when the value in ``column`` is impossible for a run between the two times."""
    wrong = [f"{column.quoted} IS NULL"] if column.required else []
    if column.kind in {"DOUBLE", "BIGINT"}:
        moment = column.name == "at_s" or column.name.endswith("_at_s")
        low, high = (low_s, high_s) if moment else (-LARGEST_NUMBER, LARGEST_NUMBER)
        # NaN needs its own test: the statistics of a Parquet file have no NaN, and the reader skips files by them.
        finite = f"isfinite({column.quoted}) AND " if column.kind == "DOUBLE" else ""
        wrong.append(f"NOT coalesce({finite}{column.quoted} BETWEEN {low!r} AND {high!r}, true)")
    return "(" + (" OR ".join(wrong) or "false") + ")"


def _sql_type(hint: Any) -> str:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return "VARCHAR" if isinstance(hint, type) and issubclass(hint, enum.Enum) else _TYPES[hint]

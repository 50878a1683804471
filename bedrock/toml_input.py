"""Reads TOML that the user wrote, checks it against a pydantic model, and reports every problem at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bedrock.errors import InputError, Problem
from bedrock.input_file import FileUnreadable, is_file, name_problem, read_text
from bedrock.model_problems import LONGEST_SHOWN, dotted, problems_of
from bedrock.nearest_name import nearest
from bedrock.plain_values import NotToml, parse, wrong_values

__all__ = ["Written", "check", "find_file", "nearest", "read_toml", "unknown_name", "value_problems"]

ModelT = TypeVar("ModelT", bound=BaseModel)

LARGEST_FILE_BYTES = 1_000_000
MOST_PROBLEMS = 50
"""Problems shown at most."""


class Written(BaseModel):
    """Base of every model of user input: unknown keys are errors, numbers are finite, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def read_toml(path: Path) -> dict[str, Any]:
    """Returns the file's tables. Raises InputError for a file that is unreadable, not TOML, or beyond a limit."""
    try:
        tables = parse(read_text(path, LARGEST_FILE_BYTES))
    except (FileUnreadable, NotToml) as error:
        raise InputError([Problem(str(path), "", str(error))]) from None
    if problems := value_problems(tables, str(path)):
        raise InputError(problems)
    return tables


def value_problems(value: Any, file: str, key: str = "") -> list[Problem]:
    """Returns what is wrong with any TOML value: too long, too deeply nested, unprintable."""
    before: tuple[str | int, ...] = (key,) if key else ()
    return [Problem(file, dotted(place), sentence) for place, sentence in wrong_values(value, before)][:MOST_PROBLEMS]


def check(model: type[ModelT], tables: dict[str, Any], file: str, *, under: str = "") -> ModelT:
    """Returns ``tables`` as ``model``. Raises InputError with one Problem for each wrong or unknown key.

    ``under`` is a dotted prefix for every key, for a model that is a part of a larger file.
    """
    try:
        return model.model_validate(tables)
    except ValidationError as error:
        raise InputError(problems_of(error, model, tables, file, under)[:MOST_PROBLEMS]) from None


def find_file(name_or_path: str, built_in: Mapping[str, Path], what: str, *, option: str) -> Path:
    """Returns the file that the user named by its path, or by the name of one that comes with ringfence.

    Raises InputError. It names ``option``, ``what`` was looked for, and the nearest known name.
    """
    if problem := name_problem(name_or_path):
        raise InputError([Problem(option, "", f"no {what} file: {problem}")])
    path = Path(name_or_path)
    if path.suffix == ".toml" or is_file(name_or_path) or "/" in name_or_path:
        return path
    if name_or_path in built_in:
        return built_in[name_or_path]
    message = f"no {what} file and no built-in {what} '{name_or_path}'"
    raise InputError([Problem(option, "", message, nearest(name_or_path, built_in))])


def unknown_name(file: str, key: str, what: str, name: str, known: Iterable[str]) -> Problem:
    """Returns the problem of an unknown name of a device, a network, a metric, and so on."""
    shown = name if len(name) <= LONGEST_SHOWN else f"{name[: LONGEST_SHOWN - 1]}…"
    return Problem(file, key, f"unknown {what} '{shown}'", nearest(name, known))

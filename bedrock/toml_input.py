"""Reads TOML that a person wrote and checks it against a pydantic model, reporting every problem at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bedrock.errors import InputError, Problem

ModelT = TypeVar("ModelT", bound=BaseModel)


class Written(BaseModel):
    """Base of every model of something a person writes: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_toml(path: Path) -> dict[str, Any]:
    """Returns the file's tables. Raises InputError when it is missing, unreadable or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problem = Problem(str(path), "", "no such file")
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem(str(path), "", f"cannot be read: {error}")
    except tomllib.TOMLDecodeError as error:
        problem = Problem(str(path), "", f"is not valid TOML: {error}")
    raise InputError([problem])


def check(model: type[ModelT], tables: dict[str, Any], file: str, *, under: str = "") -> ModelT:
    """Returns ``tables`` as ``model``. Raises InputError with one Problem for each wrong or unknown key.

    ``under`` is the dotted prefix shown before every key, for a model that is a part of a larger file.
    """
    try:
        return model.model_validate(tables)
    except ValidationError as error:
        raise InputError(_problems(error, model, file, under)) from None


def find_file(name_or_path: str, built_in: Mapping[str, Path], what: str, *, option: str) -> Path:
    """Returns a file that was named by its path, or by the name of one that comes with ringfence.

    Raises InputError, which names ``option``, ``what`` was looked for, and the nearest known name.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.is_file():
        return path
    if name_or_path in built_in:
        return built_in[name_or_path]
    message = f"no {what} file and no built-in {what} '{name_or_path}'"
    raise InputError([Problem(option, "", message, nearest(name_or_path, built_in))])


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ``did you mean 'x'?`` for the closest known name, or the list of known names when none is close."""
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return "known: " + ", ".join(choices) if choices else ""


def unknown_name(file: str, key: str, what: str, name: str, known: Iterable[str]) -> Problem:
    """The problem of naming a device, a network, a metric … that does not exist."""
    return Problem(file, key, f"unknown {what} '{name}'", nearest(name, known))


def _problems(error: ValidationError, model: type[BaseModel], file: str, under: str) -> list[Problem]:
    problems = []
    for detail in error.errors(include_url=False):
        path = [part for part in detail["loc"] if not _is_union_tag(part)]
        key = _dotted([under, *path] if under else path)
        if detail["type"] == "extra_forbidden":
            known = _field_names(model, path[:-1])
            problems.append(Problem(file, key, "unknown key", nearest(str(path[-1]), known)))
        elif detail["type"] == "missing":
            problems.append(Problem(file, key, "is required and missing"))
        else:
            message = detail["msg"].removeprefix("Value error, ")
            # A whole table would drown the sentence that says what is wrong in it.
            got = "" if isinstance(detail["input"], dict) else f" (got {detail['input']!r})"
            problems.append(Problem(file, key, message + got))
    return problems


def _is_union_tag(part: int | str) -> bool:
    return isinstance(part, str) and part.startswith("function-")


def _dotted(path: list[Any]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def _field_names(model: type[BaseModel], path: list[int | str]) -> list[str]:
    current: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        field = getattr(current, "model_fields", {}).get(part)
        current = _inner_model(field.annotation) if field is not None else None
        if current is None:
            return []
    return [field.alias or name for name, field in current.model_fields.items()]


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _inner_model(inner)
        if found is not None:
            return found
    return None

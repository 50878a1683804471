"""Turns pydantic's errors into problems in the user's terms: keys of the file and allowed values, no class names."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bedrock.errors import Problem
from bedrock.nearest_name import nearest

LONGEST_SHOWN = 60
_WHOLE = ("int_type", "int_parsing", "int_from_float", "int_parsing_size")
_NUMBER = ("float_type", "float_parsing", "finite_number")
_BOUND = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_KINDS = {
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("string_type", "string_sub_type"), "must be a string"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type", "mapping_type"), "must be a table"),
    **dict.fromkeys(("list_type", "tuple_type", "iterable_type", "set_type"), "must be an array"),
    **dict.fromkeys(("literal_error", "enum"), "must be {expected}"),
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
}
"""Sentences by pydantic's error types, with placeholders for the facts of the error."""


def problems_of(
    error: ValidationError, model: type[BaseModel], tables: Mapping[str, Any], file: str, under: str
) -> list[Problem]:
    """Returns a Problem for each wrong key of ``tables``; ``under`` is put before every key."""
    found: dict[str, Problem] = {}
    literals: set[str] = set()
    for detail in error.errors(include_url=False):
        path = _keys(detail, tables)
        key = dotted([under, *path] if under else path)
        problem = _problem(detail, model, path, file, key)
        if detail["type"] == "literal_error":
            literals.add(key)
        earlier = found.get(key)
        if earlier is None:
            found[key] = problem
        elif problem.message not in earlier.message:  # another member of a union
            both = f"{earlier.message.partition(' (got ')[0]}, or {problem.message.removeprefix('must be ')}"
            found[key] = Problem(file, key, both, earlier.hint or problem.hint)
    # For "all" or an array: a problem inside the array shows that an array was meant.
    return [one for key, one in found.items() if key not in literals or not _has_inner(key, found)]


def dotted(path: Iterable[str | int]) -> str:
    """Returns the path of a key as the user would write it: ``matrix.networks[1]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def _has_inner(key: str, found: Iterable[str]) -> bool:
    return any(other.startswith((f"{key}[", f"{key}.")) for other in found)


def _keys(detail: ErrorDetails, tables: Mapping[str, Any]) -> list[str | int]:
    """Returns the parts of pydantic's path that are in the file. pydantic also names union members and validators."""
    current: Any = tables
    path: list[str | int] = []
    last = len(detail["loc"]) - 1
    for place, part in enumerate(detail["loc"]):
        if _stands_in(part, current):
            current = current[part]
        elif not (place == last and detail["type"] == "missing"):
            continue
        path.append(part)
    return path


def _stands_in(part: str | int, value: Any) -> bool:
    if isinstance(part, int):
        return isinstance(value, list | tuple) and 0 <= part < len(value)
    return isinstance(value, Mapping) and part in value


def _problem(detail: ErrorDetails, model: type[BaseModel], path: Sequence[str | int], file: str, key: str) -> Problem:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        known = _field_names(_described(model, path[:-1])[0])
        return Problem(file, key, "unknown key", nearest(str(path[-1]), known))
    if kind == "missing":
        return Problem(file, key, "is required and missing")
    hint = ""
    if kind in ("literal_error", "enum"):
        expected = str(detail.get("ctx", {}).get("expected", ""))
        names = [word for word in expected.split("'")[1::2] if word]
        hint = nearest(value, names) if isinstance(value, str) and nearest(value, names).startswith("did") else ""
    # A whole table in the message would hide the sentence.
    got = "" if isinstance(value, dict | list | tuple) else f" (got {_shown(value)})"
    return Problem(file, key, _sentence(detail, *_described(model, path)) + got, hint)


def _sentence(detail: ErrorDetails, annotation: Any, metadata: Sequence[Any]) -> str:
    kind, facts = detail["type"], detail.get("ctx", {})
    if kind in _WHOLE or kind in _NUMBER or kind in _BOUND:
        whole = kind in _WHOLE or _is_whole(annotation)
        return f"must be a {'whole ' if whole else ''}number" + _range(metadata)
    if kind in ("value_error", "assertion_error"):
        return detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    template = _KINDS.get(kind, "")
    if kind.endswith("too_short") and facts.get("min_length") == 1:
        template = "must not be empty"
    return template.format(**facts) if template else detail["msg"].replace("Input should be", "must be")


def _range(metadata: Sequence[Any]) -> str:
    bounds = []
    for one in metadata:
        if isinstance(one, annotated_types.Ge):
            bounds.append(f"at least {_plain(one.ge)}")
        elif isinstance(one, annotated_types.Gt):
            bounds.append(f"above {_plain(one.gt)}")
        elif isinstance(one, annotated_types.Le):
            bounds.append(f"at most {_plain(one.le)}")
        elif isinstance(one, annotated_types.Lt):
            bounds.append(f"below {_plain(one.lt)}")
    return f", {' and '.join(bounds)}" if bounds else ""


def _plain(bound: Any) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:.12g}" if isinstance(bound, float) else str(bound)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number with thousands of digits
        return "a number too long to show"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _is_whole(annotation: Any) -> bool:
    return any(part is int for part in _members(annotation))


def _described(model: type[BaseModel], path: Sequence[str | int]) -> tuple[Any, Sequence[Any]]:
    """Returns the model's type and constraints for the key at ``path``."""
    annotation: Any = model
    metadata: Sequence[Any] = ()
    for part in path:
        annotation, metadata = _step(annotation, part)
    return annotation, metadata


def _step(annotation: Any, part: str | int) -> tuple[Any, Sequence[Any]]:
    for member in _members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            for name, field in member.model_fields.items():
                if part in (field.alias, name):
                    return field.annotation, field.metadata
        arguments = typing.get_args(member)
        if arguments and isinstance(part, int):
            return _unwrapped(arguments[0])
        if len(arguments) == 2 and isinstance(part, str):
            return _unwrapped(arguments[1])
    return None, ()


def _members(annotation: Any) -> list[Any]:
    """Returns the types that a value may have."""
    bare, _ = _unwrapped(annotation)
    if typing.get_origin(bare) in (Union, types.UnionType):
        return [member for part in typing.get_args(bare) for member in _members(part)]
    return [] if bare is None or typing.get_origin(bare) is Literal else [bare]


def _unwrapped(annotation: Any) -> tuple[Any, Sequence[Any]]:
    if typing.get_origin(annotation) is Annotated:
        inner = [
            more for one in annotation.__metadata__ for more in (one.metadata if isinstance(one, FieldInfo) else [one])
        ]
        return annotation.__origin__, inner
    return annotation, ()


def _field_names(annotation: Any) -> list[str]:
    return [
        field.alias or name
        for member in _members(annotation)
        if isinstance(member, type) and issubclass(member, BaseModel)
        for name, field in member.model_fields.items()
    ]

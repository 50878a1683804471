"""Lists the keys of a pydantic model with default and allowed values, in the words that the documents use."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

BOUNDS = ("ge", "gt", "le", "lt")
NO_BOUND_NEEDED = "-"


def tables_of(model: type[BaseModel], name: str = "") -> dict[str, type[BaseModel]]:
    """The model and every table below it, by dotted name: ``""``, ``swarm``, ``swarm.talk_s`` …"""
    found = {name: model}
    for key, field in model.model_fields.items():
        for inner in inner_types(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                found |= tables_of(inner, f"{name}.{key}" if name else key)
    return found


def inner_types(annotation: Any) -> list[Any]:
    """The type itself, and all that it is made of: ``list[X] | None`` gives X, too."""
    inside = typing.get_args(annotation) if typing.get_origin(annotation) is not Literal else ()
    return [annotation, *(deeper for one in inside for deeper in inner_types(one))]


def default_of(field: FieldInfo) -> str:
    """What a key is when it is left out; ``required`` when it may not be."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, BaseModel):
        return "the table's own"
    return written(value)


def written(value: Any) -> str:
    """A value as TOML has it, big numbers grouped."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, dict):
        return ", ".join(f"{key} = {written(one)}" for key, one in value.items())
    raise TypeError(f"no words for {value!r}")


def number(value: float) -> str:
    """Without a needless point, thousands grouped."""
    return f"{int(value):,}" if value == int(value) else f"{value:g}" if abs(value) < 1 else f"{value:,}"


def allowed_in(field: FieldInfo) -> str:
    """The allowed values of a number, a choice or a switch; ``-`` where the type has no such bounds."""
    choices = [typing.get_args(one) for one in inner_types(field.annotation) if typing.get_origin(one) is Literal]
    plain = [one for one in inner_types(field.annotation) if one not in (types.NoneType,)]
    if choices and not any(typing.get_origin(one) in (list, tuple) for one in plain):
        return ", ".join(f"`{choice}`" for choice in choices[0])
    if bool in plain and not any(typing.get_origin(one) is dict for one in plain):
        return "true, false"
    if not any(one in (int, float) for one in plain) or any(
        typing.get_origin(one) in (dict, tuple, list) for one in plain
    ):
        return NO_BOUND_NEEDED
    bounds = {name: getattr(one, name) for one in field.metadata for name in BOUNDS if hasattr(one, name)}
    low = f"above {number(bounds['gt'])}" if "gt" in bounds else number(bounds["ge"]) if "ge" in bounds else ""
    high = f"below {number(bounds['lt'])}" if "lt" in bounds else number(bounds["le"]) if "le" in bounds else ""
    return f"{low} to {high}" if low and high else low or high or NO_BOUND_NEEDED

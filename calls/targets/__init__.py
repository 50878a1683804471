"""Adapters for the services that calls can be placed on, each behind ``calls.targets.protocol``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from bedrock.clock import Clock
from bedrock.toml_input import nearest
from calls.errors import UnknownTarget

if TYPE_CHECKING:
    from calls.targets.protocol import Target

BUILT_IN = {"reference": "calls.targets.reference:ReferenceTarget"}
"""Kinds that a plan may name without a module."""


def open_target(kind: str, url: str, clock: Clock) -> Target:
    """Returns the adapter ``kind``: a built-in name, or ``module:Class`` of your own.

    Raises UnknownTarget with the nearest name.
    """
    module_name, colon, class_name = BUILT_IN.get(kind, kind).partition(":")
    if not colon:
        raise UnknownTarget(f"unknown kind of target '{kind}'", hint=nearest(kind, BUILT_IN))
    try:
        factory = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UnknownTarget(f"target '{kind}' cannot be loaded: {error}", hint="write it as module:Class") from error
    return cast("Callable[[str, Clock], Target]", factory)(url, clock)

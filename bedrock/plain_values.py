"""Limits what TOML, an override or the environment may contain, before a model checks it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

DEEPEST = 32
"""Levels of nested tables."""
LONGEST_TEXT = 10_000
LONGEST_KEY = 255
LARGEST_SEED = 2**53
"""Every part of a run, JSON included, represents it exactly."""
LARGEST_WHOLE = 2**63 - 1
"""TOML guarantees 64 bits and no more."""
_MANY_PARTS = re.compile(rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{DEEPEST + 1},}}""")
"""A dotted key with very many parts would take the parser quadratic time."""

_NOT_PLAIN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class NotToml(ValueError):
    """The text is not TOML, or exceeds a limit; the message says why."""


def parse(text: str) -> dict[str, Any]:
    """Returns the tables of a TOML text. Raises NotToml. Does not check values: see ``wrong_values``."""
    if _MANY_PARTS.search(text):
        raise NotToml(f"must not nest tables deeper than {DEEPEST}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotToml(f"is not valid TOML: {error}") from None
    except RecursionError:
        raise NotToml(f"must not nest tables deeper than {DEEPEST}") from None
    except ValueError:  # from int(): a number with thousands of digits
        raise NotToml(f"must not hold a number beyond {LARGEST_WHOLE}") from None


def wrong_values(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yields the place and the sentence of every value that exceeds a limit.

    Infinity and NaN are left to the models, which know the allowed range.
    """
    if len(path) > DEEPEST:
        yield path[:3], f"must not nest tables deeper than {DEEPEST}"
    elif isinstance(value, dict):
        for key, inner in value.items():
            if len(key) > LONGEST_KEY or not is_plain(key):
                yield path, f"must not have a key of control characters or of more than {LONGEST_KEY} characters"
            else:
                yield from wrong_values(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from wrong_values(inner, (*path, place))
    elif sentence := _wrong(value):
        yield path, sentence


def _wrong(value: Any) -> str:
    if isinstance(value, int) and not -LARGEST_WHOLE <= value <= LARGEST_WHOLE:
        return f"must be a number from {-LARGEST_WHOLE} to {LARGEST_WHOLE}"
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"must be at most {LONGEST_TEXT} characters long (got {len(value)})"
    if isinstance(value, str) and not is_plain(value):
        return "must not hold control characters, or bytes that are not UTF-8"
    return ""


def is_plain(text: str) -> bool:
    """Returns whether ``text`` has no control character except tabs and line ends, and no lone surrogate."""
    return _NOT_PLAIN.search(text) is None

"""Cleans text from elsewhere (a target, a page, a device, another process, a file) where it enters.

Clean text has no control character except tab and line feed, no lone surrogate, no character that XML forbids, no
bidirectional control, and a bounded length. No terminal reacts to it. Markup, HTML and Markdown are escaped where the
text leaves, because only the writer knows its reader.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import msgspec

LONGEST_TEXT = 4000
"""Characters of one text: a detail is a sentence, a log's tail some lines. Longer text is cut and ends in an
ellipsis."""
DEEPEST = 20
"""Levels of nested tables that are kept. Ours have at most six."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

T = TypeVar("T")

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    "\u2028\u2029"  # line ends that only some readers know
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"  # lone surrogates and noncharacters
)
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, the cursor, the screen
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    "|\x1b[ -/]*[0-~]"
)


def clean(text: str, longest: int = LONGEST_TEXT) -> str:
    """Returns ``text`` in a form that a terminal, an XML file and a UTF-8 encoder accept.

    Escape sequences are removed, other harmful characters become U+FFFD, and text of more than ``longest`` characters
    is cut. Clean text is returned unchanged.
    """
    if len(text) > longest:
        # The rest is not cleaned: cleaning must not take longer for text that is dropped.
        text = clean(text[: longest * 4], longest * 4)
        return text if len(text) <= longest else text[: longest - 1] + "…"
    if _HARMFUL.search(text) is None:
        return text
    return _HARMFUL.sub(REPLACEMENT, _SEQUENCE.sub("", text.replace("\r\n", "\n")))


def clean_all(value: T) -> T:
    """Returns ``value`` with all its text cleaned: keys and values of tables, items of lists, fields of structs.

    Enums are unchanged. Tables nested deeper than ``DEEPEST`` are cut off.
    """
    cleaned: T = _clean_all(value, 0)
    return cleaned


def json_text(content: Any, *, indent: int | None = None) -> str:
    """Returns ``content`` as JSON that every reader accepts: clean text, and null for NaN and infinity.

    Values that JSON does not know, e.g. a path, are written as text.
    """
    return json.dumps(_finite(clean_all(content)), indent=indent, allow_nan=False, default=_as_text)


def _clean_all(value: Any, depth: int) -> Any:
    if type(value) is str:  # an enum's text is our own
        return clean(value)
    is_struct = hasattr(type(value), "__struct_fields__")
    if not is_struct and not isinstance(value, dict | list | tuple):
        return value
    if depth >= DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {_clean_all(key, depth + 1): _clean_all(item, depth + 1) for key, item in value.items()}
    if is_struct:
        return _clean_struct(value, depth)
    items = [_clean_all(item, depth + 1) for item in value]
    return items if isinstance(value, list) else tuple(items)


def _clean_struct(value: msgspec.Struct, depth: int) -> msgspec.Struct:
    import msgspec  # here, because link daemons have only the standard library, and no structs

    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    cleaned = {name: _clean_all(item, depth + 1) for name, item in fields.items()}
    changed = {name: item for name, item in cleaned.items() if item is not fields[name] and item != fields[name]}
    return msgspec.structs.replace(value, **changed) if changed else value


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _as_text(value: object) -> str:
    return clean(str(value))

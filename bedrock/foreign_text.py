"""Text from elsewhere (a target, a page, a device, another process, a file) is made harmless here, where it enters.

Harmless text has no control character but tab and line feed, no half of a surrogate pair, no character that XML cannot
hold, none that turns the direction of writing, and a bounded length. A terminal obeys nothing in it. What else a reader
might obey (markup, HTML, Markdown) is escaped where the text leaves, because only the writer knows its reader.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import msgspec

LONGEST_TEXT = 4000
"""Characters of one text. A detail is a sentence, a log's tail some lines; more is cut, and ends in an ellipsis."""
DEEPEST = 20
"""Levels of tables in tables that are kept: nothing of ours has more than six."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

T = TypeVar("T")

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of writing
    "\u2028\u2029"  # line ends that some readers know and others do not
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"  # halves of pairs, and no characters at all
)
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, the cursor, the screen
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    "|\x1b[ -/]*[0-~]"
)


def clean(text: str, longest: int = LONGEST_TEXT) -> str:
    """Returns ``text`` as a terminal, an XML file and a UTF-8 encoder can take it.

    Escape sequences go whole, other harmful characters become U+FFFD, and a text of more than ``longest`` characters
    is cut. Clean text comes back as it is.
    """
    if len(text) > longest:
        # What is cut is not looked at: cleaning must not take longer for text that nobody keeps.
        text = clean(text[: longest * 4], longest * 4)
        return text if len(text) <= longest else text[: longest - 1] + "…"
    if _HARMFUL.search(text) is None:
        return text
    return _HARMFUL.sub(REPLACEMENT, _SEQUENCE.sub("", text.replace("\r\n", "\n")))


def clean_all(value: T) -> T:
    """Returns ``value`` with every text in it clean: keys and values of tables, items of lists, fields of structs.

    Enums stay what they are. Tables nested deeper than ``DEEPEST`` are cut off.
    """
    cleaned: T = _clean_all(value, 0)
    return cleaned


def json_text(content: Any, *, indent: int | None = None) -> str:
    """Returns ``content`` as JSON that every reader takes: its text clean, a number without a value (NaN) null.

    What JSON does not know, e.g. a path, is written as text.
    """
    return json.dumps(_finite(clean_all(content)), indent=indent, allow_nan=False, default=_as_text)


def _clean_all(value: Any, depth: int) -> Any:
    if type(value) is str:  # an enum of text is no foreign text
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
    import msgspec  # here, because daemons of links have only the standard library, and no structs

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

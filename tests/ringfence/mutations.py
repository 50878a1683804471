"""Seeded mutations of files that a person writes: of their bytes, of their text, and of single values in them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import tomli_w

HOSTILE_VALUES: tuple[Any, ...] = (
    float("inf"), float("-inf"), float("nan"), 1e30, -1e30, 1e308, 1e-320, -1, 0, 1, 10**30, -(2**70), 2**63, 2**53 + 1,
    True, "", " ", "\0", "\x1b[31mred", "a" * 256, "a" * 5000, "../../etc/passwd", "/dev/zero", "a\nb", "[bold]x[/]",
    "nan", "inf", "1e999", "🦊", [], [[]], [None] * 0, [float("nan")], ["\0"], {}, {"a": {}}, {"": 1}, [{}],
    [[[[[[[[1]]]]]]]], "http://[::1", "http://x:99999", "a.toml", "\x7f", "\x9b", "\u202e",
)  # fmt: skip
HOSTILE_TEXTS = (
    "x = inf", "x = nan", "x = 1" + "0" * 5000, "x = 0x" + "f" * 4000, "x = " + "[" * 3000, "x = " + "{a=" * 3000,
    "a." * 3000 + "b = 1", '"a".' * 300 + "b = 1", "x = 1e400", "x = -0.0", 'x = "\\u0000"', "[[[", "]]", "= 1",
    "x = 1979-05-27T07:32:00Z", "[swarm]\n[swarm]", "\x00", "\x1b[2J", "x = '''", "#" * 5000, "é = 1", "x = .5",
)  # fmt: skip


def mutated_files(rng: random.Random, text: str, tables: dict[str, Any], count: int) -> Iterator[bytes]:
    """Yields ``count`` mutations of one file, given as its text and as its tables."""
    ways: tuple[Callable[[random.Random, str, dict[str, Any]], bytes], ...] = (
        _other_value, _other_value, _other_value, _other_value, _without_key, _with_key, _other_bytes, _other_line,
    )  # fmt: skip
    for _ in range(count):
        yield rng.choice(ways)(rng, text, tables)


def mutated_bytes(rng: random.Random, text: str, count: int) -> Iterator[bytes]:
    """Yields ``count`` mutations of a file that is no TOML."""
    for _ in range(count):
        yield rng.choice((_other_bytes, _other_line))(rng, text, {})


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the path of every value inside, tables and arrays themselves among them."""
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from leaves(inner, (*path, key))


def _other_value(rng: random.Random, _text: str, tables: dict[str, Any]) -> bytes:
    changed = copy.deepcopy(tables)
    holder, key = _place(rng, changed)
    holder[key] = copy.deepcopy(rng.choice(HOSTILE_VALUES))
    return _dumped(changed)


def _without_key(rng: random.Random, _text: str, tables: dict[str, Any]) -> bytes:
    changed = copy.deepcopy(tables)
    holder, key = _place(rng, changed)
    del holder[key]
    return _dumped(changed)


def _with_key(rng: random.Random, _text: str, tables: dict[str, Any]) -> bytes:
    changed = copy.deepcopy(tables)
    holder, _ = _place(rng, changed)
    if isinstance(holder, dict):
        holder[rng.choice(("unknown", "", "a" * 300, "\0", "peple", "name", "swarm"))] = rng.choice(HOSTILE_VALUES)
    else:
        holder.append(rng.choice(HOSTILE_VALUES))
    return _dumped(changed)


def _other_bytes(rng: random.Random, text: str, _tables: dict[str, Any]) -> bytes:
    data = bytearray(text.encode())
    match rng.randrange(5):
        case 0:
            data[rng.randrange(len(data))] = rng.randrange(256)
        case 1:
            at = rng.randrange(len(data))
            data[at:at] = rng.randbytes(rng.randrange(1, 20))
        case 2:
            del data[rng.randrange(len(data)) :]
        case 3:
            data[:0] = rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\xef\xbb\xbf\xef\xbb\xbf"))
        case _:
            data *= 2
    return bytes(data)


def _other_line(rng: random.Random, text: str, _tables: dict[str, Any]) -> bytes:
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    lines[at : at + rng.randrange(2)] = [rng.choice(HOSTILE_TEXTS)]
    return "\n".join(lines).encode()


def _place(rng: random.Random, tables: dict[str, Any]) -> tuple[Any, Any]:
    *way, last = rng.choice(list(leaves(tables)))
    holder: Any = tables
    for part in way:
        holder = holder[part]
    return holder, last


def _dumped(tables: dict[str, Any]) -> bytes:
    return tomli_w.dumps(tables).encode()

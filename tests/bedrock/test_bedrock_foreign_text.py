from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from enum import StrEnum

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock.errors import InputError, Problem, RingfenceError
from bedrock.foreign_text import DEEPEST, LONGEST_TEXT, clean, clean_all, json_text

ANY_TEXT = st.text(st.characters(exclude_categories=[]))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("no network: [red]x[/]", "no network: [red]x[/]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1b]8;;http://x\x07a link\x1b]8;;\x1b\\", "a link"),
        ("\x1b]0;title that never ends", ""),
        ("\x1bPdevice\x1b\\ rest", " rest"),
        ("a\x00b\x07c\x7fd\x85e", "a�b�c�d�e"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("over\rwritten", "over�written"),
        ("half \ud800 pair", "half � pair"),
        ("abc\u202ecba", "abc�cba"),
        ("no character \uffff", "no character �"),
        ("ünïcödé ✓ 通話 😀", "ünïcödé ✓ 通話 😀"),
    ],
)
def test_what_a_reader_would_obey_is_gone_and_the_rest_is_kept(written: str, shown: str) -> None:
    assert clean(written) == shown


@settings(derandomize=True, max_examples=300)
@given(ANY_TEXT)
def test_clean_text_can_be_written_anywhere_and_stays_as_it_is(text: str) -> None:
    shown = clean(text)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert not any((ord(sign) < 32 and sign not in "\t\n") or 0x7F <= ord(sign) < 0xA0 for sign in shown)
    ET.fromstring("<a>" + shown.replace("&", "&amp;").replace("<", "&lt;") + "</a>")
    assert clean(shown) == shown
    assert len(shown) <= LONGEST_TEXT


def test_a_text_is_cut_at_its_limit_and_says_so() -> None:
    assert clean("x" * (LONGEST_TEXT + 1)) == "x" * (LONGEST_TEXT - 1) + "…"
    assert clean("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT
    assert len(clean("\x1b[0m\x00" * 3_000_000)) <= LONGEST_TEXT


class _Colour(StrEnum):
    RED = "red"


class _Inner(msgspec.Struct, frozen=True):
    text: str


class _Outer(msgspec.Struct, frozen=True):
    colour: _Colour
    inner: list[_Inner]
    table: dict[str, object]
    pair: tuple[str, int] = ("\x00", 1)


def test_every_text_of_a_record_is_cleaned_however_deep() -> None:
    cleaned = clean_all(_Outer(_Colour.RED, [_Inner("a\x00")], {"k\x1b[1m": ["v\x07", 1, None, 2.5]}))
    assert cleaned == _Outer(_Colour.RED, [_Inner("a�")], {"k": ["v�", 1, None, 2.5]}, ("�", 1))
    assert cleaned.colour is _Colour.RED


def test_a_record_that_is_clean_comes_back_itself() -> None:
    record = _Inner("fine")
    assert clean_all(record) is record


def test_tables_without_end_are_cut_off() -> None:
    deep: object = "bottom"
    for _ in range(900):
        deep = [deep]
    cut = clean_all(deep)
    for _ in range(DEEPEST):
        assert isinstance(cut, list)
        cut = cut[0]
    assert cut == "…"


def test_our_json_has_no_number_that_json_does_not_know() -> None:
    text = json_text({"a": float("nan"), "b": [float("inf"), -1.5], "c": "\x1b[2J\ud800", "d": _Colour.RED})
    assert json.loads(text, parse_constant=pytest.fail) == {"a": None, "b": [None, -1.5], "c": "�", "d": "red"}


def test_an_error_never_hands_an_escape_sequence_to_the_terminal() -> None:
    error = RingfenceError("no file \x1b[2Jx", hint="look at \x07y")
    assert (error.message, error.hint, str(error)) == ("no file x", "look at �y", "no file x")
    assert str(InputError([Problem("a\x1b[1m.toml", "k\x00", "m")])) == "a.toml: k�: m"

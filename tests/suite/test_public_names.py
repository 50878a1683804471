"""What others build on keeps its names, until somebody means to change them."""

from __future__ import annotations

import pytest
from public_names import PROJECT, public_names, read_list, read_module

CHANGED = (
    "The public names of {module} changed. If that is meant: write the list anew with "
    "`.venv/bin/python tests/suite/public_names.py`, and say in CHANGELOG.md what was renamed."
)

SOURCE = """
from elsewhere import Other
LIMIT_S: float = 3.0
_HIDDEN = 1
def make(a, /, b, *rest, c=1, **others): ...
async def wait(*, timeout_s): ...
def _helper(): ...
class Thing(Other):
    field: int
    KIND = "x"
    _hidden: int
    def act(self, what, *, now_s): ...
    @classmethod
    def of(cls, text): ...
    @staticmethod
    def same(text): ...
    @property
    def state(self): ...
    def __len__(self): ...
class _Private:
    field: int
"""


@pytest.mark.parametrize(("module", "names"), read_list().items())
def test_a_public_module_keeps_its_names(module: str, names: list[str]) -> None:
    assert read_module(PROJECT, module) == names, CHANGED.format(module=module)


def test_all_that_a_module_defines_is_public_unless_it_begins_with_an_underscore() -> None:
    assert public_names(SOURCE) == [
        "LIMIT_S",
        "Thing",
        "Thing.KIND",
        "Thing.act(what, *, now_s)",
        "Thing.field",
        "Thing.of(text)",
        "Thing.same(text)",
        "Thing.state",
        "make(a, b, *rest, c, **others)",
        "wait(*, timeout_s)",
    ]


def test_what_a_module_says_it_shows_is_all_that_is_public() -> None:
    assert public_names('__all__ = ["Other", "make"]\n' + SOURCE) == ["Other", "make(a, b, *rest, c, **others)"]

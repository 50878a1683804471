from __future__ import annotations

import errno

import pytest

from calls.engine.health.shortage import Shortage
from calls.errors import SignInRefused
from calls.media.errors import MediaError


def raised(*chain: BaseException) -> BaseException:
    """Returns the last of ``chain``, raised while each before it was handled, the way callers hide a cause."""
    try:
        if len(chain) > 1:
            try:
                raise raised(*chain[:-1])
            except BaseException:
                raise chain[-1] from None
        raise chain[0]
    except BaseException as error:
        return error


@pytest.mark.parametrize(
    ("number", "says"), [(errno.EMFILE, "ulimit -n"), (errno.ENFILE, "machine"), (errno.ENOMEM, "memory")]
)
def test_a_shortage_is_told_once_wherever_it_hides(number: int, says: str) -> None:
    told: list[str] = []
    shortage = Shortage(told.append)
    for error in (raised(OSError(number, "x"), MediaError("no socket")), raised(OSError(number, "x"))):
        shortage.notice(error)
    (sentence,) = told
    assert says in sentence


def test_what_fails_for_other_reasons_is_no_shortage() -> None:
    told: list[str] = []
    shortage = Shortage(told.append)
    shortage.notice(raised(OSError(errno.EADDRNOTAVAIL, "x"), MediaError("no socket")))
    shortage.notice(SignInRefused("no", code="wrong_password"))
    shortage.notice(TimeoutError())
    assert told == []

"""Lists of the reference service: requested, received, refused and lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from scripted_service import Person, Service

from calls.call.blame import blame_of_list
from calls.errors import ListNotReceived
from calls.records.record import Blame
from calls.targets.lists import ListKind, PageRequest
from calls.targets.reference_session import ReferenceSession

pytestmark = pytest.mark.held_time


def page(kind: str, **fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda message: {"type": kind, "ref": message["ref"], **fields}


async def test_lists_are_asked_for_as_the_web_client_does(
    service: Service, signed_in: tuple[Person, ReferenceSession]
) -> None:
    session = signed_in[1]
    threads = [{"with": f"p{number}", "last": {"seq": 900 - number}} for number in range(100)]
    service.replies["thread.list"] = page("thread.list", threads=threads)
    shown = await session.fetch_page(PageRequest(ListKind.THREADS), 5.0)
    assert (shown.people[:2], len(shown.people), shown.older) == (("p0", "p1"), 100, 801)
    assert shown.size_bytes > 2000
    assert (await service.heard("thread.list"))["limit"] == 100
    service.replies["thread.list"] = page("thread.list", threads=threads[:3])
    assert (await session.fetch_page(PageRequest(ListKind.THREADS, before=801), 5.0)).older is None
    assert (await service.heard("thread.list"))["before"] == 801
    service.replies["thread.read"] = page("thread.messages", messages=[{"seq": 5, "from": "bob"}], calls=[])
    assert (await session.fetch_page(PageRequest(ListKind.THREAD, "bob"), 5.0)).people == ("bob",)
    assert (await service.heard("thread.read"))["with"] == "bob"
    service.replies["call.history"] = page("call.history", calls=[{"from": "eve", "at_ms": 7}] * 50)
    assert (await session.fetch_page(PageRequest(ListKind.CALLS), 5.0)).older == 7


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (page("error", code="rate_limited", message="wait"), "error_rate_limited"),
        (page("thread.list", threads={"no": "list"}), "garbage"),
        (page("thread.list"), "garbage"),
        (None, "no_reply"),
    ],
)
async def test_a_list_that_does_not_come_says_why(
    reply: Any, code: str, service: Service, signed_in: tuple[Person, ReferenceSession]
) -> None:
    if reply is not None:
        service.replies["thread.list"] = reply
    with pytest.raises(ListNotReceived) as missing:
        await signed_in[1].fetch_page(PageRequest(ListKind.THREADS), 5.0 if reply else 0.05)
    assert missing.value.code == code


async def test_a_list_that_was_left_is_nobodys_failure(
    service: Service, signed_in: tuple[Person, ReferenceSession]
) -> None:
    waiting = asyncio.create_task(signed_in[1].fetch_page(PageRequest(ListKind.CALLS), 30.0))
    await service.heard("call.history")
    await signed_in[1].close()
    with pytest.raises(ListNotReceived) as left:
        await waiting
    assert left.value.code == "offline"
    with pytest.raises(ListNotReceived):
        await signed_in[1].fetch_page(PageRequest(ListKind.CALLS), 30.0)


async def test_a_list_is_lost_with_its_socket(service: Service, signed_in: tuple[Person, ReferenceSession]) -> None:
    session = signed_in[1]
    for cut, code in ((service.cut, "signaling_lost"), (session.break_off, "offline")):
        waiting = asyncio.create_task(session.fetch_page(PageRequest(ListKind.CALLS), 30.0))
        await service.heard("call.history")
        cut()
        with pytest.raises(ListNotReceived) as lost:
            await waiting
        assert lost.value.code == code
        await service.heard("hello")
        session.decline("c")
        await service.heard("call.decline")
        assert session.is_up


def test_a_list_that_is_stuck_behind_a_link_is_the_networks_fault() -> None:
    assert blame_of_list("no_reply", 0) is Blame.TARGET
    assert blame_of_list("no_reply", 3) is Blame.NETWORK
    assert blame_of_list("error_rate_limited", 3) is Blame.TARGET

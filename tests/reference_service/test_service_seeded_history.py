"""People whom everybody wants: thousands of threads and missed calls, seeded in bulk and read back as a client does."""

from __future__ import annotations

from typing import Any

import pytest
from service_process import Client, RunningService

pytestmark = pytest.mark.integration
PASTS = [{"name": "ann", "threads": 3000, "missed_calls": 400}, {"name": "bob", "threads": 20, "missed_calls": 1500}]


async def every_thread(client: Client) -> list[dict[str, Any]]:
    """All threads, page after page, as an app that is scrolled to its end asks for them."""
    threads: list[dict[str, Any]] = []
    before: dict[str, int] = {}
    while True:
        await client.say("thread.list", ref="t", limit=200, **before)
        page = (await client.expect("thread.list"))["threads"]
        if not page:
            return threads
        threads += page
        before = {"before": page[-1]["last"]["seq"]}


async def missed(service: RunningService, name: str) -> int:
    after, count = 0, 0
    while True:
        page = await service.admin("GET", f"/admin/calls?limit=2000&after={after}")
        count += sum(call["callee"] == name and call["outcome"] == "no_answer" for call in page["calls"])
        if page["next"] is None:
            return count
        after = page["next"]


async def test_a_past_is_there_once_however_often_it_is_seeded(service: RunningService) -> None:
    for _ in range(2):
        answer = await service.admin("POST", "/admin/seed", {"pasts": PASTS})
        assert answer["users_in_all"] == 3 + 3000
    ann = await service.connect("ann")
    threads = await every_thread(ann)
    assert len({thread["with"] for thread in threads}) == len(threads) == 3000
    assert all(thread["unread"] == 1 for thread in threads)
    assert [await missed(service, name) for name in ("ann", "bob")] == [400, 1500]


async def test_life_goes_on_after_a_past(service: RunningService) -> None:
    await service.admin("POST", "/admin/seed", {"pasts": PASTS})
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await bob.say("message.send", ref="m", to="ann", text="still there?")
    seq = (await bob.expect("message.ack"))["seq"]
    assert (await ann.expect("message.new"))["seq"] == seq > 3000
    await ann.say("thread.list", ref="t", limit=1)
    assert (await ann.expect("thread.list"))["threads"][0]["with"] == "bob"
    call_id = await service.talk(bob, ann)
    await bob.say("call.hangup", call_id=call_id)
    await service.hear_end(call_id, "hangup", "bob", ann, bob)
    assert (await service.logged(call_id))["row"] > 1900


async def test_nobody_signs_in_as_one_of_the_crowd(service: RunningService) -> None:
    await service.admin("POST", "/admin/seed", {"pasts": PASTS})
    for password in ("", "crowd-00000", "x"):
        body = {"name": "crowd-00000", "password": password}
        async with service.http.post(f"{service.url}/api/sign-in", json=body) as response:
            assert response.status in (400, 401)


async def test_a_past_of_nobody_is_refused(service: RunningService) -> None:
    answer = await service.admin("POST", "/admin/seed", {"pasts": [{"name": "zoe", "threads": 5}]}, status=400)
    assert "zoe" in answer["message"]
    assert (await service.admin("GET", "/admin/stats"))["users"] == 3

"""The operator's API: token, seeding, faults, listeners on links, log and counters."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time

import aiohttp
import pytest
from service_process import SDP, RunningService, Start

pytestmark = pytest.mark.integration

PATHS = [
    ("POST", "/admin/seed"),
    ("POST", "/admin/listen"),
    ("DELETE", "/admin/listen"),
    ("POST", "/admin/faults"),
    ("GET", "/admin/faults"),
    ("GET", "/admin/calls"),
    ("GET", "/admin/reports"),
    ("GET", "/admin/stats"),
]


async def test_every_admin_path_needs_the_token(service: RunningService) -> None:
    for method, path in PATHS:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer wröng"}):
            async with service.http.request(method, service.url + path, json={}, headers=headers) as response:
                assert response.status == 401, path
                assert (await response.json())["error"] == "bad_admin_token"


async def test_without_a_token_in_the_environment_the_api_is_closed(start: Start) -> None:
    service = await start(token="")
    async with service.http.get(f"{service.url}/admin/stats", headers={"Authorization": "Bearer "}) as response:
        assert response.status == 403


async def test_seeds_a_thousand_people_twice(start: Start) -> None:
    service = await start()
    names = [f"person-{number:04}" for number in range(1000)]
    users = [{"name": name, "display_name": name, "password": name, "controls": "following"} for name in names]
    follows = [(names[i], names[(i + step) % 1000]) for i in range(1000) for step in range(1, 21)]
    for _ in range(2):
        counts = await service.admin("POST", "/admin/seed", {"users": users, "follows": follows})
        assert counts == {"users": 1000, "follows": 20_000, "close_friends": 0, "users_in_all": 1000}
    last = await service.connect("person-0999")
    assert len(last.welcome["contacts"]) == 40


BAD_SEEDS: list[object] = [
    [],
    {"users": [{"name": "a b", "display_name": "x", "password": "y"}]},
    {"users": [{"name": "a", "display_name": "x"}]},
    {"users": [{"name": "a", "display_name": "x", "password": "y", "controls": "friends"}]},
    {"follows": [["ann", "zoe"]]},
    {"follows": [["ann"]]},
    {"people": []},
]


async def test_bad_seed_changes_nothing(service: RunningService) -> None:
    for body in BAD_SEEDS:
        answer = await service.admin("POST", "/admin/seed", body, status=400)
        assert set(answer) == {"error", "message"}
        assert (await service.admin("GET", "/admin/stats"))["users"] == 3, body


async def test_body_that_is_not_json(service: RunningService) -> None:
    headers = {"Authorization": "Bearer admin-token-of-the-tests"}
    for data in (b"{", b"\xff\xfe", b"[" * 100_000):
        async with service.http.post(f"{service.url}/admin/faults", data=data, headers=headers) as response:
            assert response.status == 400


async def test_answers_are_delayed_while_the_fault_is_on(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await service.admin("POST", "/admin/faults", {"answer_delay_ms": 400})
    call_id = await service.ring(ann, bob)
    began_s = time.monotonic()
    await bob.say("call.answer", call_id=call_id, media="audio", sdp=SDP)
    await bob.say("call.candidate", call_id=call_id, candidate=None)
    await ann.expect("call.answered", call_id=call_id)
    assert time.monotonic() - began_s >= 0.4
    await ann.expect("call.candidate")
    await ann.say("call.hangup", call_id=call_id)
    await service.hear_end(call_id, "hangup", "ann", ann, bob)
    logged = await service.logged(call_id)
    assert logged["answer_relayed_at_ms"] - logged["answered_at_ms"] >= 395
    await service.admin("POST", "/admin/faults", {"answer_delay_ms": 0})
    await service.talk(ann, bob)


async def test_call_that_ends_while_its_answer_is_delayed(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await service.admin("POST", "/admin/faults", {"answer_delay_ms": 300})
    call_id = await service.ring(ann, bob)
    await bob.say("call.answer", call_id=call_id, media="audio", sdp=SDP)
    await bob.expect_silence()
    await ann.say("call.cancel", call_id=call_id)
    await service.hear_end(call_id, "canceled", "ann", ann, bob)
    later = await service.ring(ann, bob)
    await bob.say("call.answer", call_id=later, media="audio", sdp=SDP)
    await ann.expect("call.answered", call_id=later)  # as late as the other would have been, and the first that comes


async def test_every_nth_answer_is_lost_on_its_way(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await service.admin("POST", "/admin/faults", {"lose_every_nth_answer": 2})
    first = await service.talk(ann, bob)
    await ann.say("call.hangup", call_id=first)
    await service.hear_end(first, "hangup", "ann", ann, bob)
    lost = await service.ring(ann, bob)
    await bob.say("call.answer", call_id=lost, media="audio", sdp=SDP)
    await bob.say("call.candidate", call_id=lost, candidate=None)
    await bob.expect_silence()
    await ann.expect_silence()
    await ann.say("call.cancel", call_id=lost)
    await service.hear_end(lost, "canceled", "ann", ann, bob)
    assert "answer_lost" in [event["event"] for event in (await service.logged(lost))["events"]]
    assert (await service.admin("GET", "/admin/faults"))["answers_lost"] == 1
    await service.admin("POST", "/admin/faults", {"lose_every_nth_answer": 0})
    for _ in range(2):
        call_id = await service.talk(ann, bob)
        await bob.say("call.hangup", call_id=call_id)
        await service.hear_end(call_id, "hangup", "bob", ann, bob)


async def test_faults_of_the_command_line_and_degradation_in_welcome(start: Start) -> None:
    service = await start("--degradation", "off", "--answer-delay-ms", "7", "--lose-every-nth-answer", "9")
    await service.seed("ann")
    in_force = await service.admin("GET", "/admin/faults")
    assert (in_force["answer_delay_ms"], in_force["lose_every_nth_answer"]) == (7, 9)
    assert (await service.connect("ann")).welcome["policy"]["degradation"] is False
    await service.admin("POST", "/admin/faults", {"degradation": True})
    assert (await service.connect("ann")).welcome["policy"]["degradation"] is True
    for wrong in ({"answer_delay_ms": -1}, {"degradation": "on"}, {"nonsense": 1}):
        await service.admin("POST", "/admin/faults", wrong, status=400)


async def test_listens_on_link_addresses_only(start: Start) -> None:
    service = await start("--link-range", "127.9.0.0/16")
    await service.seed("ann", "bob")
    for address in ("127.8.0.1", "0.0.0.0", "::", "::1", "nonsense", "10.213.0.1"):
        answer = await service.admin("POST", "/admin/listen", {"address": address}, status=409)
        assert "link range 127.9.0.0/16" in answer["message"]
    for _ in range(2):
        url = (await service.admin("POST", "/admin/listen", {"address": "127.9.0.1"}))["url"]
    assert url == service.url.replace("127.0.0.1", "127.9.0.1")
    ann, bob = await service.connect("ann", base=url), await service.connect("bob")
    await service.talk(ann, bob)
    assert (await service.admin("GET", "/admin/stats"))["links"] == ["127.9.0.1"]
    removed = [await service.admin("DELETE", "/admin/listen", {"address": "127.9.0.1"}) for _ in range(2)]
    assert [answer["was_listening"] for answer in removed] == [True, False]
    with pytest.raises(aiohttp.ClientConnectorError):
        await service.sign_in("ann", base=url)
    await ann.expect_close()
    await bob.expect_silence()
    await service.wait_offline("ann")


@pytest.mark.skipif(os.geteuid() != 0, reason="adds an address to the loopback interface")
async def test_link_that_died_is_given_up_without_a_fuss(start: Start) -> None:
    service = await start()
    await service.seed("ann", "bob")
    address = "10.213.255.246"
    await asyncio.to_thread(subprocess.run, ["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
    try:
        url = (await service.admin("POST", "/admin/listen", {"address": address}))["url"]
        await service.connect("ann", base=url)
    finally:
        await asyncio.to_thread(subprocess.run, ["ip", "address", "delete", f"{address}/32", "dev", "lo"], check=True)
    assert await service.admin("DELETE", "/admin/listen", {"address": address}) == {"was_listening": True}
    await service.wait_offline("ann")
    answer = await service.admin("POST", "/admin/listen", {"address": address}, status=409)
    assert "cannot listen" in answer["message"]


async def test_link_address_that_is_not_on_this_machine(service: RunningService) -> None:
    answer = await service.admin("POST", "/admin/listen", {"address": "10.213.255.253"}, status=409)
    assert "cannot listen on 10.213.255.253" in answer["message"]


async def test_call_log_is_read_in_pages(service: RunningService) -> None:
    ann = await service.connect("ann")
    for number in range(5):
        await ann.say("call.invite", call_id=f"c{number}", to="bob", media="audio", sdp=SDP)
        await ann.expect("call.refused", code="offline")
    first = await service.admin("GET", "/admin/calls?limit=3")
    rest = await service.admin("GET", f"/admin/calls?limit=3&after={first['next']}")
    assert [call["call_id"] for call in first["calls"] + rest["calls"]] == [f"c{number}" for number in range(5)]
    assert rest["next"] is None
    await service.admin("GET", "/admin/calls?limit=many", status=400)


async def test_health_and_stats_count_what_goes_on(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await service.connect("bob")
    await ann.say("message.send", to="bob", text="x")
    await ann.expect("message.ack")
    await bob.expect("message.new")
    await service.talk(ann, bob)
    async with service.http.get(f"{service.url}/health") as response:
        assert await response.json() == {"status": "ok", "users": 3, "online": 2, "active_calls": 1}
    stats = await service.admin("GET", "/admin/stats")
    assert (stats["sockets"], stats["messages"], stats["calls"]) == (3, 1, {"invited": 1, "answered": 1})


async def test_operator_ends_a_call(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.talk(ann, bob)
    await service.admin("POST", f"/admin/calls/{call_id}/end")
    await asyncio.gather(*(service.hear_end(call_id, "hangup", None, person) for person in (ann, bob)))
    await service.admin("POST", f"/admin/calls/{call_id}/end", status=404)

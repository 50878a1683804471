"""Faults that the operator switches on: a rate limit, a slow service, garbage."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest
from service_process import SDP, RunningService
from waiting import HANG_LIMIT_S

pytestmark = pytest.mark.integration

PERIOD_S = 1000.0
"""One of a kind is taken in so long, the longest that the service knows: another is due long after a test is over."""


async def test_a_rate_limit_refuses_with_the_time_to_come_again(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await service.admin("POST", "/admin/faults", {"rate_limit_per_s": 1 / PERIOD_S})
    await ann.say("call.shadow", call_id="1", to="bob", media="audio", sdp=SDP)
    await ann.expect("call.trying", call_id="1")
    await ann.expect("call.ended", call_id="1")
    await bob.say("call.invite", call_id="2", to="ann", media="audio", sdp=SDP)
    refused = await bob.expect("error", call_id="2", code="rate_limited")
    assert PERIOD_S - HANG_LIMIT_S < refused["retry_after_s"] <= PERIOD_S
    await ann.say("message.send", ref=3, to="bob", text="a kind of its own")
    await ann.expect("message.ack", ref=3)
    await bob.expect("message.new")
    await ann.say("message.send", ref=4, to="bob", text="one too many")
    await ann.expect("error", ref=4, code="rate_limited")
    body = {"name": "cat", "password": "cat"}
    statuses = []
    for _ in range(2):
        async with service.http.post(f"{service.url}/api/sign-in", json=body) as response:
            statuses.append(response.status)
            if response.status == 429:
                assert PERIOD_S - HANG_LIMIT_S < int(response.headers["Retry-After"]) <= PERIOD_S + 1
                assert (await response.json())["error"] == "rate_limited"
    assert statuses == [200, 429]
    faults = await service.admin("POST", "/admin/faults", {"rate_limit_per_s": 0})
    assert (faults["rate_limit_per_s"], faults["refused_by_rate"]) == (0, 3)
    await service.talk(bob, ann)


async def test_a_slow_service_answers_late_and_in_order(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await service.admin("POST", "/admin/faults", {"slow_ms": 300})
    began_s = time.monotonic()
    await ann.say("call.invite", call_id="c", to="bob", media="audio", sdp=SDP)
    await ann.say("ping", n=1)
    await ann.expect("call.trying", call_id="c")
    assert time.monotonic() - began_s >= 0.3
    await ann.expect("pong", n=1)
    assert time.monotonic() - began_s >= 0.6
    await bob.expect("call.incoming", call_id="c")


async def test_garbage_comes_in_place_of_every_nth_message(service: RunningService) -> None:
    ann = await service.connect("ann")
    await service.admin("POST", "/admin/faults", {"garbage_every_nth": 2})
    pongs, garbage = 0, 0
    for number in range(12):
        await ann.say("ping", n=number)
        async with asyncio.timeout(HANG_LIMIT_S):
            frame = await ann.socket.receive()
        assert frame.type is aiohttp.WSMsgType.TEXT
        try:
            pongs += json.loads(frame.data) == {"type": "pong", "n": number}
        except ValueError:
            garbage += 1
    assert pongs == 6
    assert 1 <= garbage < 6
    assert (await service.admin("GET", "/admin/faults"))["sent_as_garbage"] == 6
    await service.admin("POST", "/admin/faults", {"garbage_every_nth": 0})
    await ann.expect_silence()


@pytest.mark.parametrize("wrong", [{"rate_limit_per_s": -1}, {"slow_ms": "long"}, {"garbage_every_nth": 1.5}])
async def test_faults_that_make_no_sense(service: RunningService, wrong: dict[str, object]) -> None:
    await service.admin("POST", "/admin/faults", wrong, status=400)

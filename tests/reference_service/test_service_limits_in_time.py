"""The service's limits in time, to the millisecond, on any machine: a test holds the time of its loop."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from service_process import SDP, Client
from stopped_time import in_stopped_time

pytestmark = [pytest.mark.integration, pytest.mark.stopped_time]

GRACE_S = 5.0
"""PROTOCOL: how long a call waits for a lost side."""
RATE_PER_S, BURST = 100, 400
"""PROTOCOL: how many messages a socket may send a second for long, and how many at once."""
MOMENT_S = 0.001


async def test_the_grace_is_five_seconds(tmp_path: Path) -> None:
    async with in_stopped_time(tmp_path / "service.sqlite") as service:
        ann, bob, cat = [await service.connect(name) for name in ("ann", "bob", "cat")]
        talk = await service.talk(ann, bob)
        bob.vanish()
        await service.wait_for_event(talk, "connection_lost")
        service.let_pass(GRACE_S - MOMENT_S)
        await service.nothing_ended(ann, cat)
        service.let_pass(MOMENT_S)
        await ann.expect("call.ended", call_id=talk, reason="peer_lost", by="bob")


async def test_who_is_back_within_the_grace_is_never_given_up(tmp_path: Path) -> None:
    async with in_stopped_time(tmp_path / "service.sqlite") as service:
        ann, bob, cat = [await service.connect(name) for name in ("ann", "bob", "cat")]
        talk = await service.talk(ann, bob)
        bob.vanish()
        await service.wait_for_event(talk, "connection_lost")
        service.let_pass(GRACE_S - MOMENT_S)
        back = await service.connect("bob")
        await back.say("call.resume", call_id=talk)
        await back.expect("call.resumed", call_id=talk)
        service.let_pass(GRACE_S)
        await service.nothing_ended(ann, cat)


async def test_a_call_rings_for_exactly_as_long_as_was_asked_and_one_that_is_answered_goes_on(tmp_path: Path) -> None:
    async with in_stopped_time(tmp_path / "service.sqlite", no_answer_s=7.0) as service:
        ann, bob, cat, dan = [await service.connect(name) for name in ("ann", "bob", "cat", "dan")]
        assert ann.welcome["policy"]["no_answer_s"] == 7.0
        talk, unanswered = await service.talk(ann, bob), await service.ring(cat, dan)
        service.let_pass(7.0 - MOMENT_S)
        await service.nothing_ended(cat, dan)
        service.let_pass(MOMENT_S)
        await service.hear_end(unanswered, "no_answer", None, cat, dan)
        await dan.say("call.answer", call_id=unanswered, media="audio", sdp=SDP)
        await service.hear_end(unanswered, "no_answer", None, dan)
        await service.nothing_ended(ann, cat)
        await ann.say("call.hangup", call_id=talk)
        await service.hear_end(talk, "hangup", "ann", ann, bob)


async def answers_to(client: Client, pings: int) -> Counter[str]:
    for number in range(pings):
        await client.say("ping", n=number)
    return Counter([(await client.hear())["type"] for _ in range(pings)])


async def test_a_flood_gets_the_burst_then_the_rate(tmp_path: Path) -> None:
    async with in_stopped_time(tmp_path / "service.sqlite") as service:
        ann, bob = await service.connect("ann"), await service.connect("bob")
        assert await answers_to(ann, 1000) == {"pong": BURST, "error": 1000 - BURST}
        assert await answers_to(bob, 10) == {"pong": 10}, "each socket has its own allowance"
        service.let_pass(0.5)
        assert await answers_to(ann, 100) == {"pong": RATE_PER_S / 2, "error": 100 - RATE_PER_S / 2}
        service.let_pass(60.0)
        assert await answers_to(ann, 1000) == {"pong": BURST, "error": 1000 - BURST}, "no more than the burst is saved"

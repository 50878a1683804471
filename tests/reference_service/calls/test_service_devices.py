"""One person on several sockets, and sockets that die in a call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from service_process import SDP
from stopped_time import ServiceInStoppedTime, in_stopped_time

pytestmark = [pytest.mark.integration, pytest.mark.stopped_time]
GRACE_S = 5.0


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[ServiceInStoppedTime]:
    """No grace runs out while a slow machine is at work."""
    async with in_stopped_time(tmp_path / "service.sqlite") as found:
        yield found


async def test_every_device_rings_and_the_first_answer_wins(service: ServiceInStoppedTime) -> None:
    ann, phone, tablet = [await service.connect(name) for name in ("ann", "bob", "bob")]
    await ann.say("call.invite", call_id="c", to="bob", media="audio", sdp=SDP)
    await ann.expect("call.trying")
    for device in (phone, tablet):
        await device.expect("call.incoming", call_id="c")
        await device.say("call.ringing", call_id="c")
        await device.expect_silence()
    await ann.expect("call.ringing")
    await ann.expect_silence()
    await phone.say("call.answer", call_id="c", media="audio", sdp="phone")
    await ann.expect("call.answered", sdp="phone")
    await service.hear_end("c", "answered_elsewhere", "bob", tablet)
    await tablet.say("call.answer", call_id="c", media="audio", sdp="tablet")
    await service.hear_end("c", "answered_elsewhere", "bob", tablet)
    await tablet.say("call.media", call_id="c", media="audio")
    await tablet.expect("error", code="illegal_transition")
    await ann.expect_silence()
    await ann.say("call.hangup", call_id="c")
    await service.hear_end("c", "hangup", "ann", ann, phone)
    await tablet.expect_silence()


async def test_decline_and_cancel_stop_every_device(service: ServiceInStoppedTime) -> None:
    ann, phone, tablet = [await service.connect(name) for name in ("ann", "bob", "bob")]
    call_id = await service.ring(ann, phone)
    await tablet.expect("call.incoming")
    await tablet.say("call.decline", call_id=call_id)
    await service.hear_end(call_id, "declined", "bob", ann, phone, tablet)


async def test_device_that_comes_online_late_rings_too_with_the_candidates_so_far(
    service: ServiceInStoppedTime,
) -> None:
    ann, phone = await service.connect("ann"), await service.connect("bob")
    call_id = await service.ring(ann, phone)
    candidate = {"candidate": "a", "sdpMid": "0", "sdpMLineIndex": 0}
    await ann.say("call.candidate", call_id=call_id, candidate=candidate)
    await phone.expect("call.candidate")
    late = await service.connect("bob")
    await late.expect("call.incoming", call_id=call_id)
    await late.expect("call.candidate", candidate=candidate)
    await late.say("call.answer", call_id=call_id, media="audio", sdp=SDP)
    await ann.expect("call.answered")


async def test_lost_side_resumes_and_gets_what_it_missed(service: ServiceInStoppedTime) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.talk(ann, bob)
    bob.vanish()
    await service.wait_for_event(call_id, "connection_lost")
    await ann.say("call.media", call_id=call_id, media="audio", reason="network")
    await ann.expect_silence()
    back = await service.connect("bob")
    await back.say("call.resume", call_id=call_id)
    await back.expect("call.resumed", call_id=call_id, state="answered")
    await back.expect("call.media", media="audio")
    await back.say("call.hangup", call_id=call_id)
    await service.hear_end(call_id, "hangup", "bob", ann, back)
    assert "resumed" in [event["event"] for event in (await service.logged(call_id))["events"]]


async def test_resume_takes_the_call_from_a_socket_that_only_looks_alive(service: ServiceInStoppedTime) -> None:
    ann, stale, bob = [await service.connect(name) for name in ("ann", "bob", "bob")]
    call_id = await service.talk(ann, stale)
    await bob.expect("call.incoming")
    await service.hear_end(call_id, "answered_elsewhere", "bob", bob)
    await bob.say("call.resume", call_id=call_id)
    await bob.expect("call.resumed", call_id=call_id)
    await service.hear_end(call_id, "answered_elsewhere", "bob", stale)
    await ann.say("call.media", call_id=call_id, media="audio")
    await bob.expect("call.media")
    await stale.expect_silence()


async def test_lost_sides_are_given_up_after_the_grace(service: ServiceInStoppedTime) -> None:
    """A caller lost while it rings, a callee lost while it rings, and a side lost in the call, all at once."""
    await service.seed("dan", "eve", "fay")
    ann, bob, cat, dan, eve, fay = [await service.connect(n) for n in ("ann", "bob", "cat", "dan", "eve", "fay")]
    await service.seed("ann", "bob", "cat", "dan", "eve", "fay")
    talk, ringing, rung = await service.talk(ann, bob), await service.ring(cat, dan), await service.ring(eve, fay)
    for gone in (bob, cat, fay):
        gone.vanish()
    for call_id in (talk, ringing, rung):
        await service.wait_for_event(call_id, "connection_lost")
    service.let_pass(GRACE_S)
    await ann.expect("call.ended", call_id=talk, reason="peer_lost", by="bob")
    await dan.expect("call.ended", call_id=ringing, reason="peer_lost", by="cat")
    await eve.expect("call.ended", call_id=rung, reason="peer_lost", by="fay")
    late = await service.connect("bob")
    await late.say("call.resume", call_id=talk)
    await service.hear_end(talk, "peer_lost", "bob", late)
    await late.say("call.resume", call_id="never-was")
    await service.hear_end("never-was", "peer_lost", None, late)


async def test_answer_still_reaches_a_caller_who_is_back_within_the_grace(service: ServiceInStoppedTime) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.ring(ann, bob)
    ann.vanish()
    await service.wait_for_event(call_id, "connection_lost")
    await bob.say("call.answer", call_id=call_id, media="audio", sdp="answer")
    await bob.expect_silence()
    back = await service.connect("ann")
    await back.say("call.resume", call_id=call_id)
    await back.expect("call.resumed", state="answered")
    await back.expect("call.answered", sdp="answer")


async def test_hangup_works_from_a_socket_that_never_resumed(service: ServiceInStoppedTime) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.talk(ann, bob)
    ann.vanish()
    back = await service.connect("ann")
    await back.say("call.hangup", call_id=call_id)
    await service.hear_end(call_id, "hangup", "ann", bob)


async def test_seventeenth_socket_of_a_person_closes_the_first(service: ServiceInStoppedTime) -> None:
    sockets = [await service.connect("ann") for _ in range(17)]
    assert await sockets[0].expect_close() == 4409
    await sockets[1].expect_silence()

"""Every way a call between two people can go, with real clients of a real process."""

from __future__ import annotations

import pytest
from service_process import SDP, Client, RunningService, Start

pytestmark = pytest.mark.integration

Try = tuple[str, str, dict[str, str]]


async def test_call_walks_from_invite_to_hangup(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await ann.say("call.invite", call_id="c", to="bob", media="video", sdp=SDP)
    await ann.expect("call.trying", call_id="c")
    await bob.expect("call.incoming", call_id="c", media="video", sdp=SDP, display_name="Ann", **{"from": "ann"})
    await bob.say("call.ringing", call_id="c")
    await ann.expect("call.ringing", call_id="c")
    await bob.say("call.answer", call_id="c", media="audio", sdp="answer")
    await ann.expect("call.answered", call_id="c", media="audio", sdp="answer")
    await ann.say("call.hangup", call_id="c")
    await service.hear_end("c", "hangup", "ann", ann, bob)
    logged = await service.logged("c")
    assert (logged["caller"], logged["callee"], logged["outcome"], logged["ended_by"]) == (
        "ann",
        "bob",
        "hangup",
        "ann",
    )
    times = [logged[f"{stage}_at_ms"] for stage in ("invited", "ringing", "answered", "answer_relayed", "ended")]
    assert times == sorted(times)
    stages = [event["event"] for event in logged["events"]]
    assert stages == ["invited", "ringing", "answered", "answer_relayed", "ended"]


async def test_candidates_are_relayed_in_order_and_never_ahead_of_the_answer(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.ring(ann, bob)
    first = {"candidate": "a", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "uf"}
    await ann.say("call.candidate", call_id=call_id, candidate=first)
    await bob.expect("call.candidate", candidate=first)
    early = {"candidate": "b", "sdpMid": None, "sdpMLineIndex": 0}
    await bob.say("call.candidate", call_id=call_id, candidate=early)
    await bob.expect_silence()
    await ann.expect_silence()
    await bob.say("call.answer", call_id=call_id, media="audio", sdp=SDP)
    await bob.say("call.candidate", call_id=call_id, candidate=None)
    await ann.expect("call.answered")
    await ann.expect("call.candidate", candidate=early)
    await ann.expect("call.candidate", candidate=None)


async def test_callee_declines(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.ring(ann, bob)
    await bob.say("call.decline", call_id=call_id)
    await service.hear_end(call_id, "declined", "bob", ann, bob)
    assert (await service.logged(call_id))["outcome"] == "declined"


async def test_caller_cancels(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.ring(ann, bob)
    await ann.say("call.cancel", call_id=call_id)
    await service.hear_end(call_id, "canceled", "ann", ann, bob)


@pytest.mark.parametrize(("who", "reason"), [("ann", "canceled"), ("bob", "declined")])
async def test_hangup_before_the_answer_cancels_or_declines(service: RunningService, who: str, reason: str) -> None:
    people = {name: await service.connect(name) for name in ("ann", "bob")}
    call_id = await service.ring(people["ann"], people["bob"])
    await people[who].say("call.hangup", call_id=call_id)
    await service.hear_end(call_id, reason, who, *people.values())


async def test_nobody_answers_in_time(start: Start) -> None:
    service = await start("--no-answer-s", "0.3")
    await service.seed("ann", "bob")
    ann, bob = await service.connect("ann"), await service.connect("bob")
    assert ann.welcome["policy"]["no_answer_s"] == 0.3
    call_id = service.new_call_id()
    await ann.say("call.invite", call_id=call_id, to="bob", media="audio", sdp=SDP)
    await ann.expect("call.trying", call_id=call_id)
    await bob.expect("call.incoming", call_id=call_id)
    await service.hear_end(call_id, "no_answer", None, ann, bob)
    await bob.say("call.answer", call_id=call_id, media="audio", sdp=SDP)
    await service.hear_end(call_id, "no_answer", None, bob)


async def test_callee_in_a_call_is_busy_and_free_again_after_it(service: RunningService) -> None:
    ann, bob, cat = [await service.connect(name) for name in ("ann", "bob", "cat")]
    talk = await service.talk(ann, bob)
    await cat.say("call.invite", call_id="to-callee", to="bob", media="audio", sdp=SDP)
    await cat.expect("call.refused", call_id="to-callee", code="busy")
    await cat.say("call.invite", call_id="to-caller", to="ann", media="audio", sdp=SDP)
    await cat.expect("call.refused", call_id="to-caller", code="busy")
    await ann.say("call.invite", call_id="from-caller", to="cat", media="audio", sdp=SDP)
    await ann.expect("call.refused", call_id="from-caller", code="busy")
    await bob.say("call.hangup", call_id=talk)
    await service.hear_end(talk, "hangup", "bob", ann, bob)
    await service.talk(cat, bob)
    assert (await service.logged("to-callee"))["outcome"] == "busy"


async def test_only_people_whom_the_callee_follows_can_call(start: Start) -> None:
    service = await start()
    await service.seed("ann", "bob", follows=[("ann", "bob")])
    ann, bob = await service.connect("ann"), await service.connect("bob")
    assert [(c["name"], c["can_call"]) for c in ann.welcome["contacts"]] == [("bob", False)]
    assert [(c["name"], c["can_call"]) for c in bob.welcome["contacts"]] == [("ann", True)]
    await ann.say("call.invite", call_id="c1", to="bob", media="audio", sdp=SDP)
    await ann.expect("call.refused", call_id="c1", code="blocked")
    await bob.expect_silence()
    await service.talk(bob, ann)


async def test_stranger_learns_nothing_about_presence(start: Start) -> None:
    service = await start()
    await service.seed("ann", "bob", follows=[])
    ann = await service.connect("ann")
    await ann.say("call.invite", call_id="c1", to="bob", media="audio", sdp=SDP)
    await ann.expect("call.refused", code="blocked")


async def test_offline_and_unknown_callees(service: RunningService) -> None:
    ann = await service.connect("ann")
    await ann.say("call.invite", call_id="c1", to="bob", media="audio", sdp=SDP)
    await ann.expect("call.refused", call_id="c1", code="offline")
    await ann.say("call.invite", call_id="c2", to="zoe", media="audio", sdp=SDP)
    await ann.expect("call.refused", call_id="c2", code="unknown_user")
    await ann.say("call.invite", call_id="c3", to="ann", media="audio", sdp=SDP)
    await ann.expect("error", call_id="c3", code="bad_message")


async def test_call_id_is_used_once(service: RunningService) -> None:
    ann, bob, cat = [await service.connect(name) for name in ("ann", "bob", "cat")]
    call_id = await service.ring(ann, bob)
    await cat.say("call.invite", call_id=call_id, to="bob", media="audio", sdp=SDP)
    await cat.expect("call.refused", call_id=call_id, code="duplicate")
    await ann.say("call.cancel", call_id=call_id)
    await service.hear_end(call_id, "canceled", "ann", ann, bob)
    await ann.say("call.invite", call_id=call_id, to="bob", media="audio", sdp=SDP)
    await ann.expect("call.refused", call_id=call_id, code="duplicate")


async def test_two_people_calling_each_other_at_once_share_the_first_call(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await ann.say("call.invite", call_id="first", to="bob", media="audio", sdp=SDP)
    await ann.expect("call.trying", call_id="first")
    await bob.say("call.invite", call_id="second", to="ann", media="audio", sdp=SDP)
    await bob.expect("call.incoming", call_id="first")
    await bob.expect("call.refused", call_id="second", code="busy")
    await bob.expect("call.incoming", call_id="first")
    await bob.say("call.answer", call_id="first", media="audio", sdp=SDP)
    await ann.expect("call.answered", call_id="first")


async def test_answer_that_comes_after_the_cancel_loses(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.ring(ann, bob)
    await ann.say("call.cancel", call_id=call_id)
    await service.hear_end(call_id, "canceled", "ann", ann)
    await bob.say("call.answer", call_id=call_id, media="audio", sdp=SDP)
    await bob.say("call.candidate", call_id=call_id, candidate=None)
    await service.hear_end(call_id, "canceled", "ann", bob, bob)
    await ann.expect_silence()
    assert (await service.logged(call_id))["answered_at_ms"] is None


async def test_cancel_that_crosses_the_answer_is_a_cancel(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.ring(ann, bob)
    await bob.say("call.answer", call_id=call_id, media="audio", sdp=SDP)
    await bob.expect_silence()
    await ann.say("call.cancel", call_id=call_id)
    await ann.expect("call.answered", call_id=call_id)
    await service.hear_end(call_id, "canceled", "ann", ann, bob)
    logged = await service.logged(call_id)
    assert logged["outcome"] == "canceled"
    assert logged["answered_at_ms"] is not None


async def test_both_hang_up_at_once_and_both_are_confirmed(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.talk(ann, bob)
    await ann.say("call.hangup", call_id=call_id)
    await bob.say("call.hangup", call_id=call_id)
    first = await ann.expect("call.ended", call_id=call_id, reason="hangup")
    assert (await bob.expect("call.ended", call_id=call_id, reason="hangup"))["by"] == first["by"]


async def test_upgrade_quality_and_media_reach_the_far_side(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.talk(ann, bob)
    await bob.say("call.reoffer", call_id=call_id, media="video", sdp="offer", reason="upgrade")
    await ann.expect("call.reoffer", call_id=call_id, media="video", sdp="offer", reason="upgrade")
    await ann.say("call.reanswer", call_id=call_id, media="video", sdp="answer")
    await bob.expect("call.reanswer", call_id=call_id, media="video", sdp="answer")
    await ann.say("call.media", call_id=call_id, media="low_audio", reason="network")
    await bob.expect("call.media", call_id=call_id, media="low_audio", reason="network")
    await bob.say("call.quality", call_id=call_id, level="poor", rtt_ms=640, loss_ratio=0.04)
    await ann.expect("call.quality", call_id=call_id, level="poor", rtt_ms=640, loss_ratio=0.04)
    await ann.say("call.hangup", call_id=call_id)
    await service.hear_end(call_id, "hangup", "ann", ann, bob)
    logged = await service.logged(call_id)
    assert [(report["by"], report["level"], report["rtt_ms"]) for report in logged["quality"]] == [("bob", "poor", 640)]
    assert {"reoffered", "reanswered", "media"} <= {event["event"] for event in logged["events"]}


async def test_offers_that_cross_both_pass_and_one_answer_settles_them(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.talk(ann, bob)
    await ann.say("call.reoffer", call_id=call_id, media="video", sdp="a", reason="upgrade")
    await bob.expect("call.reoffer", sdp="a")
    await bob.say("call.reoffer", call_id=call_id, media="video", sdp="b", reason="upgrade")
    await ann.expect("call.reoffer", sdp="b")
    await bob.say("call.reanswer", call_id=call_id, media="video", sdp="b2")
    await ann.expect("call.reanswer", sdp="b2")
    await ann.say("call.reanswer", call_id=call_id, media="video", sdp="a2")
    await ann.expect("error", call_id=call_id, code="illegal_transition")


async def test_caller_may_fall_back_to_audio_while_it_rings(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.ring(ann, bob, media="video")
    await ann.say("call.media", call_id=call_id, media="audio", reason="network")
    await bob.expect_silence()
    await bob.say("call.answer", call_id=call_id, media="video", sdp=SDP)
    await bob.expect("call.media", call_id=call_id, media="audio", reason="network")


async def refuse_all(service: RunningService, call_id: str, people: dict[str, Client], tries: list[Try]) -> None:
    for who, kind, fields in tries:
        await people[who].say(kind, call_id=call_id, **fields)
        error = await people[who].expect("error", call_id=call_id)
        assert error["code"] == "illegal_transition", (who, kind, error)


async def test_ringing_call_refuses_what_does_not_fit_and_goes_on(service: RunningService) -> None:
    people = {name: await service.connect(name) for name in ("ann", "bob")}
    call_id = await service.ring(people["ann"], people["bob"])
    description = {"media": "video", "sdp": SDP}
    tries: list[Try] = [
        ("ann", "call.ringing", {}),
        ("ann", "call.answer", description),
        ("ann", "call.decline", {}),
        ("bob", "call.cancel", {}),
        ("ann", "call.reoffer", description),
        ("bob", "call.reanswer", description),
        ("bob", "call.media", {"media": "audio"}),
        ("bob", "call.quality", {"level": "good"}),
    ]
    await refuse_all(service, call_id, people, tries)
    await people["bob"].say("call.answer", call_id=call_id, media="audio", sdp=SDP)
    await people["ann"].expect("call.answered")


async def test_answered_call_refuses_what_does_not_fit_and_goes_on(service: RunningService) -> None:
    people = {name: await service.connect(name) for name in ("ann", "bob")}
    call_id = await service.talk(people["ann"], people["bob"])
    description = {"media": "audio", "sdp": SDP}
    tries: list[Try] = [
        ("bob", "call.ringing", {}),
        ("bob", "call.answer", description),
        ("bob", "call.decline", {}),
        ("ann", "call.reanswer", description),
    ]
    await refuse_all(service, call_id, people, tries)
    await people["ann"].say("call.hangup", call_id=call_id)
    await service.hear_end(call_id, "hangup", "ann", *people.values())


async def test_third_person_has_no_part_in_a_call(service: RunningService) -> None:
    ann, bob, cat = [await service.connect(name) for name in ("ann", "bob", "cat")]
    call_id = await service.talk(ann, bob)
    for kind in ("call.hangup", "call.cancel", "call.decline", "call.ringing"):
        await cat.say(kind, call_id=call_id)
        await cat.expect("error", call_id=call_id, code="unknown_call")
    await cat.say("call.hangup", call_id="never-was")
    await cat.expect("error", call_id="never-was", code="unknown_call")
    await ann.expect_silence()

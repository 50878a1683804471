"""The adapter against a service that misbehaves on command, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from scripted_service import Person, Service
from waiting import HANG_LIMIT_S

from bedrock.clock import SystemClock
from bedrock.errors import TargetUnreachable
from calls.call.call_rules import SignalType
from calls.errors import NotDelivered, SignInRefused, UnknownTarget
from calls.targets import open_target
from calls.targets.protocol import Signal
from calls.targets.reference import ReferenceTarget
from calls.targets.reference_session import ReferenceSession

pytestmark = pytest.mark.held_time


async def test_signs_in_and_measures_the_round_trip(signed_in: tuple[Person, ReferenceSession]) -> None:
    _, session = signed_in
    assert session.is_up
    assert session.policy.degradation
    assert session.policy.no_answer_s == 30
    assert session.rtt_ms is not None
    assert session.rtt_ms == 0, "of a wire without length, in a time that the machine does not stretch"


async def test_says_what_messages_mean(service: Service, signed_in: tuple[Person, ReferenceSession]) -> None:
    person, _ = signed_in
    await service.say("call.incoming", call_id="c", **{"from": "bob"}, media="video", sdp="v=0", extra=[1])
    assert await person.hears(SignalType.INCOMING) == Signal(
        SignalType.INCOMING, "c", peer="bob", media="video", sdp="v=0"
    )
    await service.say("call.candidate", call_id="c", candidate={"candidate": "x", "sdpMid": "0"})
    assert (await person.hears(SignalType.CANDIDATE)).candidate == {"candidate": "x", "sdpMid": "0"}
    await service.say("call.candidate", call_id="c", candidate=None)
    assert (await person.hears(SignalType.CANDIDATE)).candidate is None
    await service.say("error", call_id="c", code="illegal_transition", message="no")
    assert (await person.hears(SignalType.ERROR)).code == "illegal_transition"


@pytest.mark.parametrize(
    ("by", "code"),
    [("bob", "peer_lost"), ("ann", "signaling_lost"), (None, "dropped_by_service")],
)
async def test_a_lost_peer_is_one_of_three_things(
    service: Service, signed_in: tuple[Person, ReferenceSession], by: str | None, code: str
) -> None:
    await service.say("call.ended", call_id="c", reason="peer_lost", by=by)
    assert (await signed_in[0].hears(SignalType.ENDED)).code == code


async def test_a_broken_connection_is_taken_up_with_its_call(
    service: Service, signed_in: tuple[Person, ReferenceSession]
) -> None:
    person, session = signed_in
    session.invite("c-1", "bob", "audio", "v=0")
    await service.heard("call.invite")
    service.cut()
    assert (await service.heard("call.resume"))["call_id"] == "c-1"
    assert person.resuming == ["c-1"]
    await service.say("call.resumed", call_id="c-1", state="ringing", media="audio")
    await person.hears(SignalType.RESUMED)
    await service.say("call.ringing", call_id="c-1")
    await person.hears(SignalType.RINGING)
    assert not person.lost.is_set()
    session.hang_up("c-1")
    assert (await service.heard("call.hangup"))["call_id"] == "c-1"


async def test_a_call_that_is_over_is_not_resumed(service: Service, signed_in: tuple[Person, ReferenceSession]) -> None:
    person, session = signed_in
    session.invite("c-1", "bob", "audio", "v=0")
    await service.say("call.ended", call_id="c-1", reason="declined", by="bob")
    await person.hears(SignalType.ENDED)
    await service.heard("call.invite")
    service.cut()
    await service.heard("hello")
    session.invite("c-2", "bob", "audio", "v=0")
    assert (await asyncio.wait_for(service.said.get(), HANG_LIMIT_S))["call_id"] == "c-2"


async def test_a_service_that_is_gone_is_told_once_and_found_again(
    service: Service, signed_in: tuple[Person, ReferenceSession]
) -> None:
    person, session = signed_in
    port = int(service.url.rsplit(":", 1)[1])
    waiting = asyncio.create_task(session.send_text("bob", "hi", 30.0))
    await service.heard("message.send")
    began_s = asyncio.get_running_loop().time()
    await service.stop()
    await asyncio.wait_for(person.lost.wait(), HANG_LIMIT_S)
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(4.0, abs=0.5)
    with pytest.raises(NotDelivered) as lost:
        await waiting
    assert lost.value.code == "signaling_lost"
    assert not session.is_up
    await service.start(port)
    await service.heard("hello")
    session.invite("c", "bob", "audio", "v=0")
    assert (await service.heard("call.invite"))["call_id"] == "c"
    assert session.is_up


async def test_an_acknowledgement_that_does_not_come_is_timed_out(
    signed_in: tuple[Person, ReferenceSession],
) -> None:
    with pytest.raises(NotDelivered) as silent:
        await signed_in[1].send_text("bob", "hi", 0.05)
    assert silent.value.code == "ack_timeout"


async def test_a_refused_message_says_why(service: Service, signed_in: tuple[Person, ReferenceSession]) -> None:
    service.replies["message.send"] = lambda message: {
        "type": "error",
        "ref": message["ref"],
        "code": "blocked",
        "message": "no",
    }
    with pytest.raises(NotDelivered) as refused:
        await signed_in[1].send_text("bob", "hi", 5.0)
    assert refused.value.code == "error_blocked"
    service.replies["message.send"] = lambda message: {"type": "message.ack", "ref": message["ref"], "seq": 1}
    await signed_in[1].send_text("bob", "hi", 5.0)


async def test_garbage_on_the_socket_is_skipped(service: Service, signed_in: tuple[Person, ReferenceSession]) -> None:
    assert service.socket is not None
    for garbage in ("{", "[]", '"x"', '{"type": 7}', '{"no": "type"}', '{"type":"call.ended","call_id":["c"]}'):
        await service.socket.send_str(garbage)
    await service.socket.send_bytes(b"\xff\xfe")
    await service.say("call.trying", call_id="c")
    await signed_in[0].hears(SignalType.TRYING)
    assert len(signed_in[0].garbage) == 7


async def test_a_service_that_is_away_for_a_moment_costs_no_call(
    service: Service, signed_in: tuple[Person, ReferenceSession]
) -> None:
    person, session = signed_in
    session.invite("c-1", "bob", "audio", "v=0")
    await service.heard("call.invite")
    port = int(service.url.rsplit(":", 1)[1])
    await service.stop()
    await service.start(port)
    assert (await service.heard("call.resume"))["call_id"] == "c-1"
    assert not person.lost.is_set()


async def test_a_connection_broken_on_purpose_is_resumed_or_forgets_its_calls(
    service: Service, signed_in: tuple[Person, ReferenceSession]
) -> None:
    person, session = signed_in
    session.invite("c-1", "bob", "audio", "v=0")
    await service.heard("call.invite")
    session.break_off()
    assert (await service.heard("call.resume"))["call_id"] == "c-1"
    session.break_off(offline_s=0.1)
    assert not session.is_up
    await service.heard("hello")
    session.invite("c-2", "bob", "audio", "v=0")
    assert (await asyncio.wait_for(service.said.get(), HANG_LIMIT_S))["call_id"] == "c-2"
    assert not person.lost.is_set()


async def test_what_starts_something_waits_until_the_service_wants_it(
    service: Service, signed_in: tuple[Person, ReferenceSession]
) -> None:
    person, session = signed_in
    await service.say("error", call_id="c-1", code="rate_limited", message="slowly", retry_after_s=0.3)
    assert (await person.hears(SignalType.ERROR)).code == "rate_limited"
    began_s = asyncio.get_running_loop().time()
    session.invite("c-2", "bob", "audio", "v=0")
    session.hang_up("c-0")
    assert (await asyncio.wait_for(service.said.get(), HANG_LIMIT_S))["type"] == "call.hangup"
    assert (await service.heard("call.invite"))["call_id"] == "c-2"
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda: web.json_response({"error": "bad_credentials"}, status=401), SignInRefused),
        (lambda: web.json_response({"error": "slow_down"}, status=429), SignInRefused),
        (lambda: web.Response(text="<html>hello</html>"), TargetUnreachable),
        (lambda: web.json_response(["a", "list"]), TargetUnreachable),
        (lambda: web.json_response({"token": 7}), TargetUnreachable),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}), TargetUnreachable),
    ],
)
async def test_sign_ins_that_fail(
    service: Service, target: ReferenceTarget, answer: Callable[[], web.Response], error: type[Exception]
) -> None:
    service.sign_in = answer
    with pytest.raises(error):
        await target.sign_in("ann", "x", Person(), None, 5.0)


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (None, TargetUnreachable),
        ("not json", TargetUnreachable),
        ({"type": "hello yourself"}, TargetUnreachable),
        ({"type": "error", "code": "bad_token", "message": "no"}, SignInRefused),
    ],
)
async def test_greetings_that_fail(
    service: Service, target: ReferenceTarget, greeting: Any, error: type[Exception]
) -> None:
    service.greeting = greeting
    with pytest.raises(error):
        await target.sign_in("ann", "x", Person(), None, 5.0)


async def test_a_service_that_accepts_and_says_nothing_is_unreachable(target: ReferenceTarget) -> None:
    held: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: held.append(writer), "127.0.0.1", 0)
    other = ReferenceTarget(f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}", SystemClock())
    try:
        with pytest.raises(TargetUnreachable, match=r"within 0 s"):
            await other.sign_in("ann", "x", Person(), None, 0.2)
    finally:
        await other.close()
        for writer in held:
            writer.close()
        silent.close()
        await silent.wait_closed()


async def test_a_socket_that_has_gone_silent_is_taken_for_dead(
    service: Service, signed_in: tuple[Person, ReferenceSession]
) -> None:
    service.answers_pings = False
    await service.say("call.trying", call_id="c")
    began_s = asyncio.get_running_loop().time()
    await service.heard("hello")
    assert 50 <= asyncio.get_running_loop().time() - began_s < 53
    assert not signed_in[0].lost.is_set()


async def test_closing_says_the_last_word_first(service: Service, target: ReferenceTarget) -> None:
    session = await target.sign_in("ann", "x", Person(), None, 5.0)
    session.hang_up("c")
    await session.close()
    await session.close()
    assert (await service.heard("call.hangup"))["call_id"] == "c"
    session.ring("c")


async def test_a_service_that_comes_back_is_found_within_a_quarter_of_a_second(
    service: Service, signed_in: tuple[Person, ReferenceSession]
) -> None:
    port = int(service.url.rsplit(":", 1)[1])
    loop = asyncio.get_running_loop()
    await service.stop()
    for away_s in (1.1, 1.35):
        await asyncio.sleep(away_s)
        await service.start(port)
        back_s = loop.time()
        await service.heard("hello")
        assert loop.time() - back_s <= 0.25 + 0.01
        await service.stop()
    await signed_in[1].close()


@pytest.mark.parametrize("turns", range(12))
async def test_a_closing_that_comes_together_with_a_message_ends_at_once(
    turns: int, service: Service, target: ReferenceTarget
) -> None:
    """Whatever the session is at when its task is told to end: so many turns of the loop after the message left."""
    session = await target.sign_in("ann", "x", Person(), None, 5.0)
    await service.say("pong", n=99)
    for _ in range(turns):
        await asyncio.sleep(0)
    began_s = asyncio.get_running_loop().time()
    await session.close()
    assert asyncio.get_running_loop().time() - began_s < 0.1


async def test_what_a_service_does_not_take_holds_up_a_closing_for_half_a_second(
    service: Service, target: ReferenceTarget
) -> None:
    session = await target.sign_in("ann", "x", Person(), None, 5.0)
    assert service.socket is not None
    transport = service.socket._req.transport  # type: ignore[union-attr]
    assert transport is not None
    transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(20):
        session.invite("c", "bob", "audio", "x" * 1_000_000)
    await asyncio.sleep(0.1)
    began_s = asyncio.get_running_loop().time()
    await session.close()
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(0.5, abs=0.1)
    service.cut()


class OwnTarget:
    """What a team would write."""

    def __init__(self, url: str, clock: object) -> None:
        self.url = url


def test_a_target_is_chosen_by_name() -> None:
    clock = SystemClock()
    assert isinstance(open_target("reference", "http://127.0.0.1:1", clock), ReferenceTarget)
    own = open_target(f"{__name__}:OwnTarget", "http://127.0.0.1:2", clock)
    assert isinstance(own, OwnTarget)
    assert own.url == "http://127.0.0.1:2"
    for kind, words in (
        ("janus", "unknown kind"),
        ("nowhere:Target", "cannot be loaded"),
        (f"{__name__}:No", "cannot"),
    ):
        with pytest.raises(UnknownTarget, match=words):
            open_target(kind, "http://127.0.0.1:1", clock)

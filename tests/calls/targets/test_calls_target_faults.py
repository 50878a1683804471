"""Services that are down, silent, garbled, slow, rate limited or wrong: each a named failure, none of them a hang."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from calls_world import PASSWORD, PATIENT, Service
from held_reference import held_reference
from held_time import time_of
from rogue_service import RogueService, Said, closed_port, self_signed, silent_port
from waiting import HANG_LIMIT_S

from calls.bridge.messages import (
    AnswerHabit,
    AnyCommand,
    AnyEvent,
    CallFinished,
    Configure,
    HangUp,
    LegFinished,
    PersonSnapshot,
    PersonSpec,
    PlaceCall,
    Refused,
    SignedIn,
    SignIn,
    Snapshot,
    TargetSpec,
)
from calls.engine.engine import Engine
from calls.engine.identity import EngineIdentity
from calls.records.record import Blame, LegRecord, Outcome

pytestmark = pytest.mark.integration


class Driver:
    """An engine in this process: the same code as in its own, without the time that a process takes."""

    def __init__(self, folder: Path, url: str, **configure: Any) -> None:
        self.callee_legs: asyncio.Queue[LegRecord] = asyncio.Queue()
        clock, make_alarm = time_of(asyncio.get_running_loop())
        self._clock = clock
        self._engine = Engine(EngineIdentity(folder, "run-1", "swarm-0", "engine"), clock, self._on_event, make_alarm)
        limits = {"setup_limit_s": 2.0, "sign_in_limit_s": 1.2, "confirm_limit_s": 1.5, **configure}
        self._configure = Configure(target=TargetSpec(kind="reference", url=url), **limits)

    async def say(self, command: AnyCommand) -> Any:
        async with asyncio.timeout(HANG_LIMIT_S):
            return await self._engine.carry_out(command)

    async def open(self) -> None:
        await self.say(self._configure)

    async def sign_in(self, name: str) -> Any:
        habit = AnswerHabit(answer_after_s=0.1)
        return await self.say(SignIn(person=PersonSpec(name=name, password=PASSWORD, answers=habit)))

    async def call(self, caller: str, callee: str, talk_s: float = 1.0) -> LegRecord:
        order = PlaceCall(caller=caller, callee=callee, intended_at_s=self._clock.unix_s(), talk_s=talk_s)
        finished = await self.say(order)
        assert isinstance(finished, CallFinished), finished
        return finished.leg

    async def until(self, name: str, fits: Callable[[PersonSnapshot], bool]) -> None:
        async with asyncio.timeout(HANG_LIMIT_S):
            while not fits(await self.say(Snapshot(name=name))):  # noqa: ASYNC110 -- asked as a driver asks
                await asyncio.sleep(0.02)

    async def callee_leg(self, call_id: str) -> LegRecord:
        async with asyncio.timeout(HANG_LIMIT_S):
            while (leg := await self.callee_legs.get()).call_id != call_id:
                pass
        return leg

    async def close(self) -> None:
        await self._engine.close()

    def _on_event(self, event: AnyEvent) -> None:
        if isinstance(event, LegFinished):
            self.callee_legs.put_nowait(event.leg)


Start = Callable[..., Any]


@pytest.fixture
async def engine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Start]:
    """Starts engines; all are closed at the test's end, and none has logged a traceback."""
    made: list[Driver] = []

    async def start(url: str, **configure: Any) -> Driver:
        made.append(Driver(tmp_path / f"engine-{len(made)}", url, **configure))
        await made[-1].open()
        return made[-1]

    yield start
    for driver in made:
        await driver.close()
    assert [record for record in caplog.records if record.exc_info and record.name.startswith("calls")] == []


Opened = AbstractAsyncContextManager[RogueService | str | None]


def answers(body: Any, status: int = 200, **headers: str) -> Callable[[int], web.StreamResponse]:
    return lambda _number: web.Response(body=body, status=status, headers=headers, content_type="application/json")


SIGN_INS: list[tuple[str, Callable[[Path], Opened], str]] = [
    ("down", lambda _f: nullcontext(closed_port()), "target_unreachable"),
    ("half_open", lambda _f: silent_port(), "target_unreachable"),
    ("not_json", lambda _f: RogueService(sign_in=answers(b"<html>hello</html>")), "not_the_service"),
    ("wrong_types", lambda _f: RogueService(sign_in=answers(b'{"token": 7}')), "not_the_service"),
    ("huge", lambda _f: RogueService(sign_in=answers(b'{"token": "' + b"x" * 300_000 + b'"}')), "not_the_service"),
    ("server_error", lambda _f: RogueService(sign_in=answers(b'{"error": "storage"}', 500)), "storage"),
    (
        "rate_limited_for_good",
        lambda _f: RogueService(sign_in=answers(b"{}", 429, **{"Retry-After": "1"})),
        "rate_limited",
    ),
    ("rate_limited_too_long", lambda _f: RogueService(sign_in=answers(b"{}", 429, **{"Retry-After": "9999"})), "429"),
    ("no_greeting", lambda _f: RogueService(greeting=None), "target_unreachable"),
    ("garbled_greeting", lambda _f: RogueService(greeting="{{{"), "not_the_service"),
    ("greets_in_another_language", lambda _f: RogueService(greeting={"type": "hi"}), "not_the_service"),
    ("untrusted_certificate", lambda folder: RogueService(tls=self_signed(folder)), "tls_failed"),
]


async def refusal(driver: Driver) -> Refused:
    refused = await driver.sign_in("ann")
    assert isinstance(refused, Refused), refused
    assert "Traceback" not in refused.message
    return refused


@pytest.mark.parametrize(("target", "code"), [pytest.param(*row[1:], id=row[0]) for row in SIGN_INS])
@pytest.mark.held_time
async def test_a_sign_in_that_fails_says_why(
    engine: Start, tmp_path: Path, target: Callable[[Path], Opened], code: str
) -> None:
    async with target(tmp_path) as opened:
        url = opened.url if isinstance(opened, RogueService) else str(opened)
        refused = await refusal(await engine(url))
    assert refused.code == code
    assert url in refused.message or "ann" in refused.message


@pytest.mark.held_time
async def test_a_sign_in_waits_for_a_silent_service_as_long_as_it_was_told(engine: Start) -> None:
    loop = asyncio.get_running_loop()
    async with silent_port() as url, RogueService(greeting=None) as mute:
        for target in (url, mute.url):
            driver = await engine(target, sign_in_limit_s=3.0)
            began_s = loop.time()
            await refusal(driver)
            assert loop.time() - began_s == pytest.approx(3.0, abs=0.05)


@pytest.mark.held_time
async def test_plain_and_safe_connections_do_not_mix(engine: Start, tmp_path: Path) -> None:
    async with RogueService(tls=self_signed(tmp_path)) as safe, RogueService() as plain:
        spoken_plainly = await refusal(await engine(safe.url.replace("https", "http")))
        assert spoken_plainly.code in {"not_the_service", "target_unreachable"}
        assert (await refusal(await engine(plain.url.replace("http", "https")))).code == "tls_failed"


@pytest.mark.held_time
async def test_a_service_that_asks_to_come_again_is_obeyed(engine: Start) -> None:
    def once(number: int) -> web.StreamResponse:
        if number == 1:
            return web.json_response({"error": "slow_down"}, status=429, headers={"Retry-After": "1"})
        return web.json_response({"token": "t", "user": {}})

    async with RogueService(sign_in=once) as service:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        signed_in = await (await engine(service.url, sign_in_limit_s=8.0)).sign_in("ann")
        assert isinstance(signed_in, SignedIn)
        assert 1.0 <= loop.time() - began_s < 2.1, "up to twice as long, so that not everybody comes at once"
        assert service.sign_ins == 2


def script(*messages: Said | str | bytes) -> Callable[[Said], list[Said | str | bytes]]:
    """Replies to an invitation with ``messages``, and to a goodbye as a service should."""

    def reply(said: Said) -> list[Said | str | bytes]:
        call_id = said.get("call_id", "")
        if said["type"] == "call.invite":
            return [{**message, "call_id": call_id} if isinstance(message, dict) else message for message in messages]
        if said["type"] in {"call.cancel", "call.hangup"}:
            reason = "canceled" if said["type"] == "call.cancel" else "hangup"
            return [{"type": "call.ended", "call_id": call_id, "reason": reason, "by": "ann"}]
        return []

    return reply


TRYING, RINGING = {"type": "call.trying"}, {"type": "call.ringing"}
DECLINED = {"type": "call.ended", "reason": "declined", "by": "bob"}
NO_KEYS = "v=0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"


TIMEOUTS = {"invite_timeout", "no_ringing"}


def answered(sdp: Any) -> Said:
    return {"type": "call.answered", "media": "audio", "sdp": sdp}


@pytest.mark.parametrize(
    ("messages", "reason", "findings"),
    [
        pytest.param([], "invite_timeout", "", id="silent"),
        pytest.param([TRYING], "no_ringing", "", id="never_rings"),
        pytest.param([TRYING, answered("not a description")], "bad_answer", "", id="answers_nonsense"),
        pytest.param([TRYING, answered(NO_KEYS)], "bad_answer", "", id="answers_without_keys"),
        pytest.param(["{{{", '{"type": 7}', b"\xff\xfe"], "invite_timeout", "garbage", id="garbage_only"),
        pytest.param([TRYING, answered({"an": "object"})], "no_ringing", "garbage", id="wrong_types"),
        pytest.param([TRYING, RINGING, "[]", DECLINED], "garbage", "garbage", id="garbage_in_between"),
        pytest.param([TRYING, TRYING, DECLINED], "illegal_trying", "illegal_trying", id="says_it_twice"),
        pytest.param(
            [RINGING, {"type": "call.reoffer", "sdp": "v=0"}, DECLINED],
            "illegal_reoffer",
            "illegal_reoffer",
            id="offers_before_the_answer",
        ),
        pytest.param(
            [RINGING, {"type": "call.resumed"}, DECLINED], "illegal_resumed", "illegal_resumed", id="resumes_unasked"
        ),
        pytest.param(
            [RINGING, {"type": "call.ended", "reason": "bored"}],
            "illegal_ended",
            "illegal_ended",
            id="ends_for_no_reason",
        ),
        pytest.param([{"type": "error", "code": "internal", "message": "oh"}], "error_internal", "", id="fails_inside"),
    ],
)
@pytest.mark.held_time
async def test_a_call_on_a_wrong_service_is_a_named_failure_of_the_service(
    engine: Start, messages: list[Said | str | bytes], reason: str, findings: str
) -> None:
    async with RogueService(reply=script(*messages)) as service:
        # Only who waits in vain is given little time.
        driver = await engine(service.url, setup_limit_s=0.7 if reason in TIMEOUTS else 5.0)
        await driver.sign_in("ann")
        leg = await driver.call("ann", "bob")
    assert (leg.outcome, leg.reason, leg.findings) == (Outcome.FAILED, reason, findings)
    assert leg.blame is (Blame.UNKNOWN if reason == "no_ringing" and not findings else Blame.TARGET)
    assert leg.ended_at_s - leg.started_at_s < 6.0


@pytest.mark.held_time
async def test_a_message_without_end_costs_the_connection_and_not_the_memory(engine: Start) -> None:
    async with RogueService(reply=script(TRYING, "x" * 5_000_000)) as service:
        driver = await engine(service.url)
        await driver.sign_in("ann")
        leg = await driver.call("ann", "bob")
        assert (leg.outcome, leg.blame, leg.findings) == (Outcome.FAILED, Blame.TARGET, "garbage")
        await driver.until("ann", lambda ann: ann.online)


async def test_a_service_that_falls_silent_in_a_call_ends_it_by_name(tmp_path: Path, engine: Start) -> None:
    service = Service(tmp_path)
    try:
        service.seed("ann", "bob", "cid", "dan")
        # The limits that are to be over begin when the service is silent already, so no slow machine can pass them.
        patient = await engine(service.url, **{**PATIENT, "confirm_limit_s": 1.5})
        hasty = await engine(service.url, **{**PATIENT, "setup_limit_s": 1.5, "confirm_limit_s": 1.5})
        for driver, name in ((patient, "ann"), (patient, "bob"), (hasty, "cid"), (patient, "dan")):
            await driver.sign_in(name)
        on = asyncio.create_task(patient.call("ann", "bob", talk_s=HANG_LIMIT_S))
        await patient.until("bob", lambda bob: bob.state == "talking")
        service.process.signal(signal.SIGSTOP)
        try:
            late = await hasty.call("cid", "dan")
            assert (late.outcome, late.reason, late.blame) == (Outcome.FAILED, "invite_timeout", Blame.TARGET)
            await patient.say(HangUp(name="ann"))
            leg = await on
            assert (leg.outcome, leg.reason, leg.blame) == (Outcome.FAILED, "hangup_unconfirmed", Blame.TARGET)
        finally:
            service.process.signal(signal.SIGCONT)
        # What the callee hears late is still a hang-up.
        assert (await patient.callee_leg(leg.call_id)).outcome is Outcome.COMPLETED
    finally:
        service.process.stop()


@pytest.mark.held_time
async def test_a_call_waits_for_a_silent_service_as_long_as_it_was_told(tmp_path: Path, engine: Start) -> None:
    async with held_reference(tmp_path) as service:
        await service.seed("ann", "bob", "cid", "dan")
        driver = await engine(service.url, setup_limit_s=6.0, confirm_limit_s=1.5, gap_limit_ms=30_000.0)
        for name in ("ann", "bob", "cid", "dan"):
            await driver.sign_in(name)
        on = asyncio.create_task(driver.call("ann", "bob", talk_s=60.0))
        await driver.until("bob", lambda bob: bob.state == "talking")
        service.faults(slow_ms=9_000)
        late = await driver.call("cid", "dan")
        assert (late.outcome, late.reason, late.blame) == (Outcome.FAILED, "invite_timeout", Blame.TARGET)
        assert late.ended_at_s - late.started_at_s == pytest.approx(6.0 + 1.5, abs=0.1), "and the goodbye"
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await driver.say(HangUp(name="ann"))
        leg = await on
        assert loop.time() - began_s == pytest.approx(1.5, abs=0.1)
        assert (leg.outcome, leg.reason, leg.blame) == (Outcome.FAILED, "hangup_unconfirmed", Blame.TARGET)
        assert (await driver.callee_leg(leg.call_id)).outcome is Outcome.COMPLETED
        await asyncio.sleep(10.0)  # the service has its last words to say


@pytest.mark.held_time
async def test_a_lost_answer_is_the_service_s_fault(tmp_path: Path, engine: Start) -> None:
    async with held_reference(tmp_path, lose_every_nth_answer=1) as service:
        await service.seed("ann", "bob")
        driver = await engine(service.url, setup_limit_s=5.0)
        await driver.sign_in("ann")
        await driver.sign_in("bob")
        caller = await driver.call("ann", "bob")
        assert (caller.outcome, caller.reason, caller.blame) == (Outcome.FAILED, "answer_lost", Blame.TARGET)
        callee = await driver.callee_leg(caller.call_id)
    assert (callee.outcome, callee.reason) == (Outcome.FAILED, "ice_timeout")
    assert callee.answered_at_s is not None
    assert callee.ended_at_s - callee.answered_at_s == pytest.approx(5.0, abs=0.1)


@pytest.mark.held_time
async def test_faults_of_the_real_service_are_told_apart(tmp_path: Path, engine: Start) -> None:
    async with held_reference(tmp_path) as service:
        await service.seed("ann", "bob")
        limits = {"setup_limit_s": 4.0, "ring_limit_s": 4.0, "confirm_limit_s": 4.0}
        driver = await engine(service.url, **limits)
        await driver.sign_in("ann")
        await driver.sign_in("bob")

        async def call_under(**faults: float) -> LegRecord:
            service.faults(**faults)
            return await driver.call("ann", "bob", talk_s=0.3)

        limited = await call_under(rate_limit_per_s=1.0)
        assert limited.outcome is Outcome.COMPLETED
        refused = await driver.call("ann", "bob", talk_s=0.2)
        assert (refused.reason, refused.blame) == ("error_rate_limited", Blame.TARGET)
        await asyncio.sleep(1.0)
        assert (await driver.call("ann", "bob", talk_s=0.2)).outcome is Outcome.COMPLETED

        slow = await call_under(rate_limit_per_s=0, slow_ms=150)
        assert slow.outcome is Outcome.COMPLETED
        assert slow.answered_at_s is not None
        # The invitation, the ringing and the answer wait in turn, and the callee takes 100 ms.
        assert 0.4 < slow.answered_at_s - slow.started_at_s < 0.6
        crawling = await call_under(slow_ms=5000)
        assert (crawling.outcome, crawling.reason, crawling.blame) == (Outcome.FAILED, "invite_timeout", Blame.TARGET)
        assert crawling.ended_at_s - crawling.started_at_s == pytest.approx(4.0 + 4.0, abs=0.1), "and the goodbye"
        service.faults(slow_ms=0)
        await driver.until("bob", lambda bob: not bob.in_call)

        garbled = await call_under(garbage_every_nth=2)
        assert (garbled.outcome, garbled.blame) == (Outcome.FAILED, Blame.TARGET)
        assert "garbage" in garbled.findings or garbled.reason in {"invite_timeout", "hangup_unconfirmed"}
        service.faults(garbage_every_nth=0)


STEP_S = 100 * HANG_LIMIT_S


async def test_a_wall_clock_that_steps_back_changes_no_duration(
    tmp_path: Path, engine: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(tmp_path)
    try:
        service.seed("ann", "bob")
        driver = await engine(service.url, **PATIENT)
        await driver.sign_in("ann")
        await driver.sign_in("bob")
        on = asyncio.create_task(driver.call("ann", "bob", talk_s=1.0))
        await driver.until("bob", lambda bob: bob.state == "talking")
        now_s = time.time
        monkeypatch.setattr(time, "time", lambda: now_s() - STEP_S)
        leg = await on
    finally:
        service.process.stop()
    assert leg.outcome is Outcome.COMPLETED
    assert leg.first_audio_at_s is not None
    assert leg.intended_at_s < leg.first_audio_at_s < leg.ended_at_s < leg.intended_at_s + STEP_S / 2
    assert 0.9 < leg.talked_s < STEP_S / 2

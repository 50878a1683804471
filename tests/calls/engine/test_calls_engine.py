from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from calls_world import PASSWORD, Driver, Service, rows, wait_for
from waiting import HANG_LIMIT_S

from calls.bridge.messages import (
    AnswerHabit,
    Configure,
    HangUp,
    MessageDone,
    PersonSnapshot,
    PersonSpec,
    PlaceCall,
    SendMessage,
    SignIn,
    SignOut,
    Snapshot,
    TargetSpec,
)
from calls.errors import EngineRefused
from calls.records.record import Blame, Outcome, Side, Stage, Tier

pytestmark = pytest.mark.integration


@dataclass
class World:
    folder: Path
    service: Service
    here: Driver
    there: Driver


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("engine")
    service = Service(folder, "--no-answer-s", "1.5")
    here, there = Driver(folder, "swarm-0", service.url), Driver(folder, "swarm-1", service.url)
    yield World(folder, service, here, there)
    here.close()
    there.close()
    service.process.stop()


def test_a_call_between_two_engines_is_heard_on_both_sides(world: World) -> None:
    world.service.seed("ana", "ben")
    world.here.sign_in("ana", persona="creator", device="pixel_8", scenario="x")
    world.there.sign_in("ben", answers=AnswerHabit(answer_after_s=0.4))
    caller = world.here.call("ana", "ben", talk_s=2.0, scenario="audio_call")
    callee = world.there.callee_leg(caller.call_id)

    assert (caller.outcome, caller.stage, caller.reason, caller.hung_up_cleanly) == (
        Outcome.COMPLETED,
        Stage.ENDED,
        "",
        True,
    )
    assert (callee.outcome, callee.stage, callee.hung_up_cleanly) == (Outcome.COMPLETED, Stage.ENDED, True)
    assert (caller.side, callee.side, caller.peer, callee.peer) == (Side.CALLER, Side.CALLEE, "ben", "ana")
    assert (caller.persona, caller.device, caller.scenario, caller.source) == (
        "creator",
        "pixel_8",
        "audio_call",
        "swarm",
    )
    steps = [
        caller.intended_at_s,
        caller.started_at_s,
        caller.ringing_at_s,
        caller.answered_at_s,
        caller.ice_at_s,
        caller.dtls_at_s,
        caller.first_audio_at_s,
        caller.ended_at_s,
    ]
    assert steps == sorted(step for step in steps if step is not None)
    # How exactly all of it keeps to its times: test_calls_engine_in_held_time.py.
    assert callee.answer_wait_ms >= 390
    for leg in (caller, callee):
        assert leg.first_audio_at_s is not None
        assert leg.packets_received > 0
        assert leg.packets_lost == 0
        assert leg.mos_lq is not None
        assert leg.mos_lq <= 4.5
        assert leg.mos_model.startswith("G.107.2")
        assert leg.tier is Tier.PACKETS
    assert caller.talked_s >= 2.0
    assert caller.packets_received <= callee.packets_sent
    assert callee.packets_received <= caller.packets_sent


@pytest.mark.parametrize(
    ("habit", "outcome", "callee_outcome"),
    [
        (AnswerHabit(answer_after_s=0.1, decline_ratio=1.0), Outcome.DECLINED, Outcome.DECLINED),
        (AnswerHabit(answer_after_s=0.1, ignore_ratio=1.0), Outcome.NO_ANSWER, Outcome.NO_ANSWER),
    ],
)
def test_what_a_called_person_does_is_no_failure(
    world: World, habit: AnswerHabit, outcome: Outcome, callee_outcome: Outcome
) -> None:
    caller, callee = f"cara-{outcome}", f"carl-{outcome}"
    world.service.seed(caller, callee)
    world.here.sign_in(caller)
    world.there.sign_in(callee, answers=habit)
    leg = world.here.call(caller, callee)
    assert (leg.outcome, leg.blame, leg.stage) == (outcome, Blame.NOBODY, Stage.RINGING)
    assert world.there.callee_leg(leg.call_id).outcome is callee_outcome


def test_an_impatient_caller_cancels(world: World) -> None:
    world.service.seed("dora", "dirk")
    world.here.sign_in("dora")
    world.there.sign_in("dirk", answers=AnswerHabit(ignore_ratio=1.0))
    leg = world.here.call("dora", "dirk", patience_s=0.3)
    assert (leg.outcome, leg.hung_up_cleanly) == (Outcome.CANCELED, True)
    assert leg.ringing_at_s is not None
    assert leg.ended_at_s - leg.ringing_at_s >= 0.3
    assert world.there.callee_leg(leg.call_id).outcome is Outcome.CANCELED


def test_a_callee_who_lets_nobody_call_blocks(world: World) -> None:
    world.service.seed("eva")
    world.service.seed("egon", controls="nobody")
    world.here.sign_in("eva")
    world.there.sign_in("egon")
    leg = world.here.call("eva", "egon")
    assert (leg.outcome, leg.blame, leg.stage) == (Outcome.BLOCKED, Blame.NOBODY, Stage.ATTEMPTED)


def test_who_is_in_a_call_is_busy_and_places_no_other(world: World) -> None:
    world.service.seed("fay", "fred", "flo")
    world.here.sign_in("fay")
    world.here.sign_in("flo")
    world.there.sign_in("fred")
    first = world.here.start_call("fay", "fred", talk_s=HANG_LIMIT_S)
    wait_for(lambda: _snapshot(world.there, "fred").state == "talking" or None)
    assert world.here.call("flo", "fred").outcome is Outcome.BUSY
    with pytest.raises(EngineRefused) as refused:
        world.here.call("fay", "flo")
    assert refused.value.code == "in_call"
    world.here.client.request(HangUp(name="fay"), HANG_LIMIT_S)
    assert first().outcome is Outcome.COMPLETED


def test_a_callee_who_is_not_online_fails_the_call(world: World) -> None:
    world.service.seed("gina", "gus")
    world.here.sign_in("gina")
    leg = world.here.call("gina", "gus")
    assert (leg.outcome, leg.reason, leg.blame) == (Outcome.FAILED, "refused_offline", Blame.UNKNOWN)


def test_a_snapshot_tells_how_the_call_is_now(world: World) -> None:
    world.service.seed("hana", "hugo")
    world.here.sign_in("hana")
    world.there.sign_in("hugo")
    leg = world.here.start_call("hana", "hugo", talk_s=HANG_LIMIT_S)
    now = wait_for(lambda: ((found := _snapshot(world.here, "hana")).packets_received > 20 and found) or None)
    assert (now.in_call, now.side, now.state, now.media_state, now.media) == (
        True,
        "caller",
        "talking",
        "connected",
        "audio",
    )
    assert now.packets_sent > 20
    assert now.last_packet_age_ms >= 0
    assert (now.asked_ptime_ms, now.sending_ptime_ms) == (20, 20)
    world.here.client.request(HangUp(name="hana"), HANG_LIMIT_S)
    assert leg().hung_up_cleanly
    after = _snapshot(world.here, "hana")
    assert (after.online, after.in_call, after.call_id) == (True, False, "")


def test_signing_out_hangs_up_first(world: World) -> None:
    world.service.seed("ida", "ivan")
    world.here.sign_in("ida")
    world.there.sign_in("ivan")
    leg = world.here.start_call("ida", "ivan", talk_s=HANG_LIMIT_S)
    wait_for(lambda: _snapshot(world.here, "ida").state == "talking" or None)
    world.here.client.request(SignOut(name="ida"), HANG_LIMIT_S)
    assert (leg().outcome, leg().reason) == (Outcome.COMPLETED, "signed_out")
    assert world.there.callee_leg(leg().call_id).outcome is Outcome.COMPLETED
    with pytest.raises(EngineRefused) as refused:
        _snapshot(world.here, "ida")
    assert refused.value.code == "not_signed_in"


def test_messages_are_timed_to_their_acknowledgement(world: World) -> None:
    world.service.seed("jane", "john")
    world.here.sign_in("jane")
    for to, ok, reason in (("john", True, ""), ("nobody-at-all", False, "error_unknown_user")):
        command = SendMessage(sender="jane", to=to, text="hello", intended_at_s=time.time() - 0.05)
        done: MessageDone = world.here.client.request(command, HANG_LIMIT_S)
        assert (done.row.ok, done.row.reason) == (ok, reason)
        if ok:
            assert done.row.ack_ms is not None
            assert done.row.ack_ms > 50


def test_a_call_waits_for_its_intended_moment(world: World) -> None:
    world.service.seed("kim", "kurt")
    world.here.sign_in("kim")
    world.there.sign_in("kurt")
    at_s = time.time() + 0.5
    command = PlaceCall(caller="kim", callee="kurt", intended_at_s=at_s, talk_s=0.5)
    leg = world.here.client.request(command, HANG_LIMIT_S).leg
    assert leg.started_at_s >= at_s
    assert leg.intended_at_s == at_s


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ({"name": "lena", "password": "wrong"}, "bad_credentials", "lena"),
        ({"name": "lena", "password": PASSWORD, "network": "gprs_3g"}, "unknown_network", "gprs_3g"),
    ],
)
def test_a_person_who_cannot_sign_in_is_refused_with_a_reason(
    world: World, spec: dict[str, str], code: str, words: str
) -> None:
    world.service.seed("lena")
    with pytest.raises(EngineRefused, match=words) as refused:
        world.here.client.request(SignIn(person=PersonSpec(**spec)), HANG_LIMIT_S)
    assert refused.value.code == code


def test_an_engine_is_configured_once(world: World) -> None:
    with pytest.raises(EngineRefused) as refused:
        world.here.client.request(Configure(target=TargetSpec(kind="reference", url=world.service.url)), HANG_LIMIT_S)
    assert refused.value.code == "configured"


def test_every_leg_message_and_second_is_on_disk(world: World) -> None:
    world.service.seed("mia", "max")
    world.here.sign_in("mia")
    world.there.sign_in("max", tier=Tier.MEDIA)
    call = world.here.start_call("mia", "max", talk_s=HANG_LIMIT_S)
    call_id = wait_for(lambda: _snapshot(world.here, "mia").call_id or None)
    samples = wait_for(lambda: found if len(found := _samples_on_disk(world.folder, call_id)) >= 2 else None)
    world.here.client.request(HangUp(name="mia"), HANG_LIMIT_S)
    leg = call()
    world.there.callee_leg(leg.call_id)
    wait_for(lambda: len(_legs_on_disk(world.folder, leg.call_id)) == 2 or None)
    assert _legs_on_disk(world.folder, leg.call_id) == [
        ("callee", "completed", "media", "swarm-1"),
        ("caller", "completed", "packets", "swarm-0"),
    ]
    health = wait_for(lambda: _health_on_disk(world.folder))
    assert {writer for writer, *_ in health} == {"swarm-0", "swarm-1"}
    assert all(0 <= cpu < 2 and rss > 20 for _, cpu, rss, _ in health)
    assert max(legs for *_, legs in health) >= 1
    # What a stall held up is sent in the next second; not in every one.
    assert all(kbit >= 0 for _, kbit in samples)
    assert min(kbit for _, kbit in samples) < 100
    assert max(kbit for _, kbit in samples) > 14


def _snapshot(driver: Driver, name: str) -> PersonSnapshot:
    snapshot: PersonSnapshot = driver.client.request(Snapshot(name=name), HANG_LIMIT_S)
    return snapshot


def _legs_on_disk(folder: Path, call_id: str) -> list[tuple[object, ...]]:
    found = rows(folder, "calls", "side, outcome, tier, writer, call_id")
    return [row[:-1] for row in found if row[-1] == call_id]


def _samples_on_disk(folder: Path, call_id: str) -> list[tuple[str, float]]:
    """Those of the probe's leg."""
    if not any((folder / "samples").glob("*.parquet")):
        return []
    found = rows(folder, "samples", "call_id, side, tier, kbit_in")
    return [(row[0], row[3]) for row in found if row[:3] == (call_id, "callee", "media")]


def _health_on_disk(folder: Path) -> list[tuple[str, float, float, int]] | None:
    found = rows(folder, "health", "writer, cpu_ratio, rss_mb, active_legs")
    return found if {row[0] for row in found} == {"swarm-0", "swarm-1"} else None  # type: ignore[return-value]

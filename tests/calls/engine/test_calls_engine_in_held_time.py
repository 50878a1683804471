"""When people of an engine do things: to the millisecond, in a time that no machine can stretch.

The engine, its legs and their media over loopback are the real ones; only the service has no wire.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from held_world import World, after_ms

from calls.bridge.messages import (
    AnswerHabit,
    Drain,
    Drained,
    MessageDone,
    PersonSnapshot,
    PersonSpec,
    Refused,
    SendMessage,
    SignIn,
    SignOut,
    Snapshot,
)
from calls.records.record import LegRecord, Outcome

pytestmark = pytest.mark.held_time


async def test_a_call_takes_the_time_that_its_people_and_its_service_take(tmp_path: Path) -> None:
    async with World(tmp_path, way_s=0.05) as world:
        await world.sign_in("ana", "ben", answer_after_s=0.4)
        caller = (await world.place("ana", "ben")).leg
        await asyncio.sleep(1.0)
        callee = world.callee_legs[caller.call_id]
    assert after_ms(caller.ringing_at_s, caller.started_at_s) == pytest.approx(200, abs=1)
    assert after_ms(caller.answered_at_s, caller.ringing_at_s) == pytest.approx(400, abs=2)
    assert callee.answer_wait_ms == pytest.approx(400, abs=2)
    # ICE and DTLS on a wire without length, then the next frame of 20 ms.
    assert after_ms(caller.first_audio_at_s, caller.answered_at_s) < 50
    assert after_ms(caller.ended_at_s, caller.first_audio_at_s) == pytest.approx(2000 + 100, abs=25)
    for leg in (caller, callee):
        assert leg.outcome is Outcome.COMPLETED
        assert leg.talked_s == pytest.approx(2.1 if leg is callee else 2.0, abs=0.13)
        assert leg.packets_received == pytest.approx(leg.talked_s * 50, abs=1.5)
        assert leg.packets_lost == 0
        assert (leg.packets_late, leg.effective_loss_ratio) == (0, 0.0)
        assert leg.max_gap_ms == pytest.approx(20, abs=1)
        assert leg.mos_lq is not None
        assert 3.9 < leg.mos_lq <= 4.5
        assert leg.send_late_p99_ms is not None
        assert leg.send_late_p99_ms < 1


async def test_a_snapshot_says_how_old_the_last_packet_is(tmp_path: Path) -> None:
    async with World(tmp_path, way_s=0.05) as world:
        await world.sign_in("ana", "ben", answer_after_s=0.1)
        call = world.place("ana", "ben")
        await asyncio.sleep(1.5)
        for name in ("ana", "ben"):
            now = await world.engine.carry_out(Snapshot(name=name))
            assert isinstance(now, PersonSnapshot)
            assert now.state == "talking"
            assert now.last_packet_age_ms is not None
            assert 0 <= now.last_packet_age_ms <= 21, "one comes every 20 ms"
        await call


async def test_an_impatient_caller_cancels_when_its_patience_is_over(tmp_path: Path) -> None:
    async with World(tmp_path) as world:
        await world.sign_in("dora", "dirk", ignore_ratio=1.0)
        leg = (await world.place("dora", "dirk", patience_s=0.3)).leg
    assert leg.outcome is Outcome.CANCELED
    assert after_ms(leg.ended_at_s, leg.ringing_at_s) == pytest.approx(300, abs=2)


async def test_a_call_begins_at_its_intended_moment(tmp_path: Path) -> None:
    async with World(tmp_path) as world:
        await world.sign_in("kim", "kurt", answer_after_s=0.0)
        leg = (await world.place("kim", "kurt", ahead_s=0.5)).leg
    assert after_ms(leg.started_at_s, leg.intended_at_s) == pytest.approx(0, abs=0.01)


async def test_a_message_is_timed_from_its_intended_moment_to_its_acknowledgement(tmp_path: Path) -> None:
    async with World(tmp_path, way_s=0.1) as world:
        await world.sign_in("jane", "john")
        for ahead_s, ack_ms in ((-0.05, 250.0), (0.3, 200.0)):
            at_s = world.clock.unix_s() + ahead_s
            done = await world.engine.carry_out(SendMessage(sender="jane", to="john", text="hi", intended_at_s=at_s))
            assert isinstance(done, MessageDone)
            assert done.row.ack_ms == pytest.approx(ack_ms, abs=0.01)


async def test_draining_waits_for_calls_as_long_as_it_was_told_and_no_longer(tmp_path: Path) -> None:
    async with World(tmp_path, way_s=0.05) as world:
        await world.sign_in("ann", "bob", "cid", "dan", "fin", answer_after_s=0.1)
        await world.sign_in("eve", ignore_ratio=1.0)
        calls = [
            world.place("ann", "bob", talk_s=1.0),
            world.place("cid", "dan", talk_s=60.0),
            world.place("fin", "eve", talk_s=60.0),
        ]
        await asyncio.sleep(1.0)
        began_s = world.clock.monotonic_s()
        drained = await world.engine.carry_out(Drain(timeout_s=2.5))
        assert drained == Drained(ended=6, forced=4)
        # The goodbyes are confirmed 100 ms after they were said.
        assert world.clock.monotonic_s() - began_s == pytest.approx(2.5 + 0.1, abs=0.01)
        short, long, ringing = [(await call).leg for call in calls]
        assert (short.outcome, short.reason) == (Outcome.COMPLETED, "")
        assert (long.outcome, long.reason, long.hung_up_cleanly) == (Outcome.COMPLETED, "drained", True)
        # Both sides leave in one moment: whether the cancel or the refusal comes first is a tie.
        assert ringing.outcome in (Outcome.CANCELED, Outcome.DECLINED)
        refused = await world.place("ann", "bob")
        assert isinstance(refused, Refused)
        assert refused.code == "draining"


async def test_draining_is_over_with_the_last_call(tmp_path: Path) -> None:
    async with World(tmp_path) as world:
        await world.sign_in("ann", "bob", answer_after_s=0.0)
        call = world.place("ann", "bob", talk_s=1.0)
        await asyncio.sleep(0.5)
        began_s = world.clock.monotonic_s()
        assert await world.engine.carry_out(Drain(timeout_s=30.0)) == Drained(ended=2, forced=0)
        assert world.clock.monotonic_s() - began_s < 0.6
        assert (await call).leg.outcome is Outcome.COMPLETED


async def test_an_engine_that_is_closed_in_the_middle_of_calls_takes_no_time_for_it(tmp_path: Path) -> None:
    world = World(tmp_path, way_s=0.05)
    async with world:
        await world.sign_in("ann", "bob", answer_after_s=0.0)
        call = world.place("ann", "bob", talk_s=60.0)
        await asyncio.sleep(2.0)
        began_s = world.clock.monotonic_s()
    assert world.clock.monotonic_s() - began_s < 0.5
    assert (await call).leg.reason == "engine_stopped"


async def test_signing_out_waits_for_the_confirmed_goodbye(tmp_path: Path) -> None:
    async with World(tmp_path, way_s=0.05) as world:
        await world.sign_in("ida", "ivan", answer_after_s=0.0)
        call = world.place("ida", "ivan", talk_s=60.0)
        await asyncio.sleep(2.0)
        began_s = world.clock.monotonic_s()
        await world.engine.carry_out(SignOut(name="ida"))
        assert world.clock.monotonic_s() - began_s == pytest.approx(0.1, abs=0.01)
        assert ((await call).leg.outcome, (await call).leg.reason) == (Outcome.COMPLETED, "signed_out")


async def both_legs(folder: Path, scenario: str, network: str, talk_s: float = 4.0) -> list[LegRecord]:
    """One call of ``scenario`` whose caller is behind ``network``."""
    async with World(folder, way_s=0.001) as world:
        habit = AnswerHabit(answer_after_s=0.1)
        for name, behind in (("ann", network), ("bob", "")):
            person = PersonSpec(name=name, password="x", network=behind, answers=habit)
            await world.engine.carry_out(SignIn(person=person))
        caller = (await world.place("ann", "bob", talk_s=talk_s, scenario=scenario)).leg
        await asyncio.sleep(10.0)
        return [caller, world.callee_legs[caller.call_id]]


@pytest.mark.parametrize("scenario", ["hold", "mute", "upgrade", "ice_restart"])
@pytest.mark.parametrize(("network", "longest_gap_ms"), [("", 21.0), ("edge_275g", 400.0)])
async def test_what_a_scenario_silences_is_no_gap(
    tmp_path: Path, scenario: str, network: str, longest_gap_ms: float
) -> None:
    legs = await both_legs(tmp_path, scenario, network)
    if scenario in {"hold", "ice_restart"}:
        # Its last act is begun before the planned end and takes a round trip or two; on EDGE one is 0.55 s and more.
        assert (legs[0].talked_s > 4.02) == bool(network)
        assert legs[0].talked_s < 7.0
    for leg in legs:
        assert (leg.outcome, leg.as_expected, leg.findings) == (Outcome.COMPLETED, True, "")
        assert leg.max_gap_ms is not None
        assert leg.max_gap_ms < longest_gap_ms
        assert (leg.move_gap_ms is not None) == (scenario == "ice_restart")


@pytest.mark.parametrize(("scenario", "held_s", "muted_s"), [("hold", 2.0, 0.0), ("mute", 0.0, 1.6)])
async def test_a_hold_and_a_mute_are_as_long_as_their_scenario_says(
    tmp_path: Path, scenario: str, held_s: float, muted_s: float
) -> None:
    for leg in await both_legs(tmp_path, scenario, ""):
        assert leg.held_s == pytest.approx(held_s, abs=0.45)
        assert leg.muted_s == pytest.approx(muted_s, abs=0.02)
        assert leg.packets_received >= (leg.talked_s - leg.held_s) * 50 - 12, "who is muted sends silence"


async def test_a_shadow_call_is_routed_after_one_way_to_the_service_and_back(tmp_path: Path) -> None:
    async with World(tmp_path, way_s=0.05) as world:
        await world.sign_in("ann", "bob")
        leg = (await world.place("ann", "bob", scenario="shadow")).leg
    assert leg.outcome is Outcome.SHADOWED
    assert after_ms(leg.routed_at_s, leg.intended_at_s) == pytest.approx(100, abs=2)

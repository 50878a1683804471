"""Every scenario of the catalogue as load: a real service, two engines, real media, all at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from calls_world import Driver, Service, rows, wait_for
from waiting import HANG_LIMIT_S

from calls.bridge.messages import AnswerHabit, HangUp, Snapshot
from calls.records.record import Blame, LegRecord, Outcome
from calls.scenarios import SCENARIOS, mark_of, marked

pytestmark = pytest.mark.integration

TALK_S = 4.0
BUSY_TALK_S = 3000.0
"""Until somebody has called in vain who is in a call: then it is hung up."""
SLOW = ("hold", "ice_restart")
"""Scenarios played once more behind EDGE: their acts take more round trips of 0.9 s than the planned talk has."""
ALONE = {"decline", "busy", "no_answer", "shadow", "cancel_race"}
"""Scenarios without a talk."""


@dataclass
class World:
    """What came of one call of each scenario: the caller's leg, and every leg by call id."""

    callers: dict[str, LegRecord] = field(default_factory=dict)
    callees: dict[str, list[LegRecord]] = field(default_factory=dict)
    slow: dict[str, LegRecord] = field(default_factory=dict)
    """The caller's legs of SLOW."""
    told: list[LegRecord] = field(default_factory=list)
    on_disk: list[tuple[str, ...]] = field(default_factory=list)
    service_log: dict[str, dict[str, object]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("scenarios")
    service = Service(folder, "--no-answer-s", "3")
    here, there = (Driver(folder, writer, service.url) for writer in ("swarm-0", "swarm-1"))
    try:
        names = {name: (f"{name}-a", f"{name}-b") for name in SCENARIOS}
        service.seed(*(f"{person}{on}" for pair in names.values() for person in pair for on in ("", "-slow")))
        for caller, callee in names.values():
            here.sign_in(caller)
            # Nobody is used to answer: who answers does so because the scenario says it.
            used_to = AnswerHabit(answer_after_s=0.2, decline_ratio=0.0 if callee in {"talk-b"} else 1.0)
            there.sign_in(callee, answers=used_to)
        slow_orders = {}
        for name in SLOW:
            caller, callee = (f"{person}-slow" for person in names[name])
            here.sign_in(caller, network="edge_275g")
            there.sign_in(callee)
            slow_orders[name] = here.start_call(caller, callee, talk_s=TALK_S, scenario=name)
        orders = {
            name: here.start_call(
                *names[name],
                talk_s=BUSY_TALK_S if name == "talk" else TALK_S,
                scenario=name,
                patience_s=1.0 if name == "no_answer" else None,
            )
            for name in SCENARIOS
            if name != "busy"
        }
        wait_for(lambda: there.client.request(Snapshot(name="talk-b"), HANG_LIMIT_S).state == "talking" or None)
        orders["busy"] = here.start_call("busy-a", "talk-b", talk_s=1.0, scenario="busy")
        orders["busy"]()
        here.client.request(HangUp(name="talk-a"), HANG_LIMIT_S)
        made = World(callers={name: order() for name, order in orders.items()})
        made.slow = {name: order() for name, order in slow_orders.items()}
        for leg in made.slow.values():
            there.callee_leg(leg.call_id)
        for name, leg in made.callers.items():
            if name not in {"busy", "shadow"}:
                there.callee_leg(leg.call_id)
        made.told = there.callee_legs
        for logged in service.calls():
            made.service_log[logged["call_id"]] = logged
    finally:
        here.close()
        there.close()
        service.process.stop()
    columns = "call_id, side, scenario, outcome, reason, blame, expected_outcome, as_expected, findings"
    made.on_disk = rows(folder, "calls", columns)
    return made


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_the_call_ends_as_its_scenario_says(world: World, name: str) -> None:
    leg = world.callers[name]
    assert (leg.scenario, leg.findings) == (name, "")
    assert leg.outcome in SCENARIOS[name].caller.expected, leg
    assert leg.blame is Blame.NOBODY
    assert leg.as_expected is True
    assert mark_of(leg.call_id) == (SCENARIOS[name], BUSY_TALK_S if name == "talk" else 1.0 if name == "busy" else 4.0)
    others = [row for row in world.on_disk if row[0] == leg.call_id and row[1] == "callee"]
    assert len(others) == {"busy": 0, "shadow": 0, "multi_device": 2}.get(name, 1)
    for _, _, scenario, outcome, _, blame, expected, as_expected, findings in others:
        assert (scenario, blame, as_expected, findings) == (name, "", True, "")
        assert outcome in expected.split("|")


def test_every_row_of_every_scenario_is_as_expected(world: World) -> None:
    assert {row[2] for row in world.on_disk} == set(SCENARIOS)
    assert [row for row in world.on_disk if row[7] is not True] == []


@pytest.mark.parametrize("name", list(SLOW))
def test_a_slow_network_makes_a_scenario_longer_and_not_another(world: World, name: str) -> None:
    """The far side's row is among those that the test above judges."""
    leg = world.slow[name]
    assert (leg.outcome, leg.as_expected, leg.expected_outcome) == (Outcome.COMPLETED, True, "completed")
    assert leg.talked_s > TALK_S  # by how much: test_calls_engine_in_held_time.py
    assert (leg.move_gap_ms is not None) == (name == "ice_restart")
    assert leg.move_gap_ms is None or leg.move_gap_ms > 1500, "two round trips at least"


def callee(world: World, name: str) -> LegRecord:
    (leg,) = [leg for leg in world.told if leg.call_id == world.callers[name].call_id]
    return leg


def test_hold_is_told_from_silence(world: World) -> None:
    for leg in (world.callers["hold"], callee(world, "hold")):
        # How long, and that it is no gap: test_calls_engine_in_held_time.py.
        assert 0 < leg.held_s < leg.talked_s
    events = world.service_log[world.callers["hold"].call_id]["events"]
    assert isinstance(events, list)
    assert [event["event"] for event in events].count("reanswered") == 4


def test_the_muted_send_silence_and_fail_nothing(world: World) -> None:
    for leg in (world.callers["mute"], callee(world, "mute")):
        assert 0 < leg.muted_s < leg.talked_s  # how long: test_calls_engine_in_held_time.py
        assert leg.packets_received > 0


def test_an_upgrade_brings_video_both_ways(world: World) -> None:
    for leg in (world.callers["upgrade"], callee(world, "upgrade")):
        assert leg.media == "audio"
        assert leg.video_frames_sent > 10
        assert leg.video_frames_received > 10


def test_both_sides_move_and_are_heard_from_their_new_networks(world: World) -> None:
    for leg in (world.callers["ice_restart"], callee(world, "ice_restart")):
        assert leg.ice_restarts == 2
        assert leg.send_errors == 0
        assert leg.talked_s > 0


def test_a_call_outlives_the_loss_of_its_signaling(world: World) -> None:
    for leg in (world.callers["reconnect"], callee(world, "reconnect")):
        assert leg.reconnects == 1
        assert leg.hung_up_cleanly


def test_who_survives_a_death_is_told_in_bounded_time(world: World) -> None:
    survivor, dead = world.callers["abrupt_death"], callee(world, "abrupt_death")
    assert (survivor.reason, dead.reason) == ("peer_lost", "vanished")
    assert survivor.ended_at_s - dead.ended_at_s > 4.0, "the service gives a lost connection 5 s"
    assert survivor.packets_received > 0


def test_of_two_devices_one_wins_and_the_other_is_told(world: World) -> None:
    call_id = world.callers["multi_device"].call_id
    legs = sorted((row[3], row[4]) for row in world.on_disk if row[0] == call_id and row[1] == "callee")
    assert legs == [("canceled", "answered_elsewhere"), ("completed", "")]
    assert callee(world, "multi_device").outcome is Outcome.COMPLETED


def test_of_two_calls_that_meet_one_is_talked_and_one_is_busy(world: World) -> None:
    glare = [row for row in world.on_disk if row[2] == "glare" and row[1] == "caller"]
    assert sorted(row[3] for row in glare) == ["busy", "completed"]


def test_a_cancel_that_crosses_the_answer_cancels_both_sides(world: World) -> None:
    leg = world.callers["cancel_race"]
    assert leg.outcome is callee(world, "cancel_race").outcome is Outcome.CANCELED
    assert world.service_log[leg.call_id]["outcome"] == "canceled"


def test_a_shadow_call_measures_the_way_and_rings_nobody(world: World) -> None:
    leg = world.callers["shadow"]
    assert leg.routed_at_s is not None
    assert leg.routed_at_s > leg.intended_at_s
    assert leg.ringing_at_s is None
    assert world.service_log[leg.call_id]["outcome"] == "shadowed"


def test_patience_does_not_spoil_a_call_that_nobody_answers(world: World) -> None:
    leg = world.callers["no_answer"]
    assert leg.outcome is Outcome.NO_ANSWER
    assert leg.ringing_at_s is not None
    assert leg.ended_at_s - leg.started_at_s > 2.99, "the service counts its 3 s from the invitation"


def test_a_mark_says_the_scenario_and_nothing_else_does() -> None:
    call_id = marked("swarm-0-1f", "hold", 12.5)
    assert mark_of(call_id) == (SCENARIOS["hold"], 12.5)
    assert marked(call_id, "talk", 1.0) == call_id
    assert marked("x", "audio_call", 1.0) == "x"
    for strange in ("x", "x~", "x~hold", "x~hold~", "x~hold~-1", "x~hold~1.5", "x~none~1", "x~hold~" + "9" * 10):
        assert mark_of(strange) is None

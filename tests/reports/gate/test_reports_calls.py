"""Every way that two legs can make a call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_run_folder import write_segments

from calls.records.record import Blame, LegRecord, Outcome, Side, Stage, Tier
from reports.gate.call_view import make_calls, make_seconds
from reports.gate.exact_counts import concurrent_held_60s, peak_concurrent, probes_concurrent_min
from reports.run.cells import CellResult, CellStatus, write_cell
from reports.run.run_folder import find_run
from reports.run.store import RunStore
from reports.slo.slo_file import CompletedCallLimits

LIMITS = CompletedCallLimits(setup_limit_s=10.0, gap_limit_ms=2000.0)


def _leg(side: Side, call_id: str = "c1", **changes: Any) -> LegRecord:
    """A leg of a call that completes: intended at 100.0, answered at 103.0 after 2 s of ringing, heard at 104.0."""
    caller = side is Side.CALLER
    fields: dict[str, Any] = {
        "run_id": "r", "call_id": call_id, "side": side, "tier": Tier.PACKETS, "source": "swarm", "writer": "swarm-0",
        "person": "ann" if caller else "bob", "peer": "bob" if caller else "ann", "network": "lte_good",
        "generation": "4g", "outcome": Outcome.COMPLETED, "stage": Stage.ENDED, "intended_at_s": 100.0,
        "started_at_s": 100.0, "ringing_at_s": 100.5, "answered_at_s": 103.2 if caller else 103.0, "ice_at_s": 103.6,
        "dtls_at_s": 103.8, "first_audio_at_s": 104.0 if caller else 103.9, "ended_at_s": 130.0,
        "answer_wait_ms": 0.0 if caller else 2000.0, "planned_talk_s": 26.0 if caller else 0.0, "talked_s": 26.0,
        "hung_up_cleanly": True, "max_gap_ms": 60.0, "mos_lq": 4.2, "mos_model": "m", "mos_grounded": True,
        "owd_p50_ms": 80.0 if caller else 90.0,
    }  # fmt: skip
    return LegRecord(**{**fields, **changes})


@pytest.fixture
def call_of(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def join(*legs: LegRecord) -> dict[str, Any]:
        write_segments(tmp_path / "calls", legs)
        with RunStore(find_run(tmp_path)) as store:
            make_calls(store, LIMITS)
            (call,) = store.records("SELECT * FROM calls")
            return call

    return join


def _caller(**changes: Any) -> LegRecord:
    return _leg(Side.CALLER, **changes)


def _callee(**changes: Any) -> LegRecord:
    return _leg(Side.CALLEE, **changes)


def test_a_completed_call_and_its_figures(call_of: Callable[..., dict[str, Any]]) -> None:
    call = call_of(_caller(), _callee())
    assert (call["outcome"], call["blame"], call["reason"]) == ("completed", "", "")
    assert call["setup_ms"] == pytest.approx(2000.0)
    assert call["connect_ms"] == pytest.approx(1000.0)
    assert (call["tier"], call["owd_ms"], call["caller"], call["callee"]) == ("packets", 90.0, "ann", "bob")


@pytest.mark.parametrize(
    ("caller", "callee", "reason", "blame"),
    [
        ({"first_audio_at_s": None}, {}, "no_media_both_ways", "unknown"),
        ({}, {"first_audio_at_s": None}, "no_media_both_ways", "unknown"),
        ({"first_audio_at_s": 112.1}, {}, "setup_limit", "unknown"),
        ({}, {"max_gap_ms": 2000.5}, "gap_limit", "unknown"),
        ({"hung_up_cleanly": False}, {}, "no_clean_hang_up", "unknown"),
        ({}, {"hung_up_cleanly": False}, "no_clean_hang_up", "unknown"),
        ({"reason": "peer_hung_up", "talked_s": 12.0}, {}, "cut_short", "unknown"),
        ({"max_gap_ms": 9000.0, "link_outage_dropped": 3}, {}, "gap_limit", "network"),
        ({"max_gap_ms": 9000.0, "link_outage_dropped": 3}, {"send_errors": 1}, "gap_limit", "generator"),
        ({"max_gap_ms": 9000.0, "network": ""}, {"network": ""}, "gap_limit", "target"),
    ],
)
def test_a_call_that_is_not_completed_failed_and_says_why(
    call_of: Callable[..., dict[str, Any]], caller: dict[str, Any], callee: dict[str, Any], reason: str, blame: str
) -> None:
    call = call_of(_caller(**caller), _callee(**callee))
    assert (call["outcome"], call["reason"], call["blame"]) == ("failed", reason, blame)


def test_just_inside_every_limit_is_completed(call_of: Callable[..., dict[str, Any]]) -> None:
    call = call_of(_caller(first_audio_at_s=112.0, max_gap_ms=2000.0), _callee(max_gap_ms=None))
    assert call["outcome"] == "completed"


def test_the_ringing_time_is_the_persons_and_not_the_set_ups(call_of: Callable[..., dict[str, Any]]) -> None:
    late = {"answered_at_s": 120.0, "first_audio_at_s": 121.0}
    assert call_of(_caller(**late), _callee(**late, answer_wait_ms=19_000.0))["outcome"] == "completed"


def test_a_lost_half_is_the_generators_failure(call_of: Callable[..., dict[str, Any]]) -> None:
    call = call_of(_caller())
    assert (call["outcome"], call["reason"], call["blame"], call["half_lost"]) == (
        "failed",
        "lost_half",
        "generator",
        True,
    )


def test_a_callee_without_a_caller_is_a_lost_half_too(call_of: Callable[..., dict[str, Any]]) -> None:
    call = call_of(_callee(outcome=Outcome.DECLINED))
    assert (call["outcome"], call["blame"], call["caller"]) == ("failed", "generator", "ann")


def _unheard(**changes: Any) -> dict[str, Any]:
    reached = dict.fromkeys(("ringing_at_s", "answered_at_s", "ice_at_s", "dtls_at_s", "first_audio_at_s"))
    return {**reached, "hung_up_cleanly": False, "stage": Stage.ATTEMPTED, **changes}


@pytest.mark.parametrize("outcome", [Outcome.BUSY, Outcome.BLOCKED])
def test_a_refused_caller_never_had_another_half(call_of: Callable[..., dict[str, Any]], outcome: Outcome) -> None:
    call = call_of(_caller(**_unheard(outcome=outcome)))
    assert (call["outcome"], call["half_lost"]) == (outcome, False)


def test_an_invitation_that_vanished_keeps_the_callers_own_blame(call_of: Callable[..., dict[str, Any]]) -> None:
    call = call_of(_caller(**_unheard(outcome=Outcome.FAILED, blame=Blame.TARGET, reason="invite_timeout")))
    assert (call["outcome"], call["reason"], call["blame"]) == ("failed", "invite_timeout", "target")


def test_what_people_decide_leaves_the_denominator(call_of: Callable[..., dict[str, Any]]) -> None:
    declined = _unheard(outcome=Outcome.DECLINED, ringing_at_s=100.5)
    assert call_of(_caller(**declined), _callee(**declined))["outcome"] == "declined"


@pytest.mark.parametrize("outcome", [Outcome.NO_ANSWER, Outcome.CANCELED])
def test_an_answer_that_never_came_is_a_failure_of_the_target(
    call_of: Callable[..., dict[str, Any]], outcome: Outcome
) -> None:
    caller = _unheard(outcome=outcome, ringing_at_s=100.5)
    callee = _unheard(outcome=Outcome.FAILED, reason="ice_timeout", blame=Blame.UNKNOWN, answered_at_s=103.0)
    call = call_of(_caller(**caller), _callee(**callee))
    assert (call["outcome"], call["reason"], call["blame"]) == ("failed", "answer_lost", "target")


def test_an_answer_that_crossed_the_callers_cancel_is_a_cancel(call_of: Callable[..., dict[str, Any]]) -> None:
    caller = _unheard(outcome=Outcome.CANCELED, ringing_at_s=100.5, ended_at_s=104.0)
    callee = _unheard(outcome=Outcome.CANCELED, ringing_at_s=100.5, answered_at_s=103.0)
    assert call_of(_caller(**caller), _callee(**callee))["outcome"] == "canceled"


def test_the_side_that_knows_names_the_culprit(call_of: Callable[..., dict[str, Any]]) -> None:
    caller = _unheard(outcome=Outcome.FAILED, reason="answer_lost", blame=Blame.TARGET, ringing_at_s=100.5)
    callee = _unheard(outcome=Outcome.FAILED, reason="ice_timeout", blame=Blame.UNKNOWN, answered_at_s=103.0)
    call = call_of(_caller(**caller), _callee(**callee))
    assert (call["reason"], call["blame"]) == ("answer_lost", "target")
    call = call_of(_caller(**{**caller, "blame": Blame.UNKNOWN}), _callee(**{**callee, "blame": Blame.GENERATOR}))
    assert (call["reason"], call["blame"]) == ("ice_timeout", "generator")


def test_a_side_that_was_hung_up_on_leaves_the_reason_to_the_other(call_of: Callable[..., dict[str, Any]]) -> None:
    caller = _unheard(outcome=Outcome.FAILED, reason="peer_gave_up", blame=Blame.UNKNOWN, answered_at_s=103.0)
    callee = _unheard(outcome=Outcome.FAILED, reason="dtls_timeout", blame=Blame.UNKNOWN, answered_at_s=103.0)
    assert call_of(_caller(**caller), _callee(**callee))["reason"] == "dtls_timeout"
    assert call_of(_caller(**callee), _callee(**caller))["reason"] == "dtls_timeout"


@pytest.mark.parametrize(
    ("caller", "callee", "network", "generation"),
    [
        (("lte_good", "4g"), ("gprs_2g", "2g"), "gprs_2g", "2g"),
        (("hspa_35g", "3g"), ("wifi_home", "wifi"), "hspa_35g", "3g"),
        (("", ""), ("wifi_home", "wifi"), "wifi_home", "wifi"),
        (("edge_2g", "2g"), ("gprs_2g", "2g"), "edge_2g", "2g"),
        (("", ""), ("", ""), "", ""),
    ],
)
def test_a_call_belongs_to_its_worse_access_network(
    call_of: Callable[..., dict[str, Any]],
    caller: tuple[str, str],
    callee: tuple[str, str],
    network: str,
    generation: str,
) -> None:
    call = call_of(_caller(network=caller[0], generation=caller[1]), _callee(network=callee[0], generation=callee[1]))
    assert (call["network"], call["generation"]) == (network, generation)
    assert call["networks"] == " + ".join(filter(None, (caller[0], callee[0])))


def test_both_tiers_are_named_the_more_real_one_first(call_of: Callable[..., dict[str, Any]]) -> None:
    assert call_of(_caller(tier=Tier.MEDIA), _callee(tier=Tier.BROWSER))["tier"] == "browser+media"
    assert call_of(_caller(tier=Tier.BROWSER), _callee(tier=Tier.MEDIA))["tier"] == "browser+media"


def test_mos_outside_the_models_tables_is_left_out(call_of: Callable[..., dict[str, Any]]) -> None:
    call = call_of(_caller(mos_lq=4.0), _callee(mos_lq=3.0, mos_grounded=False))
    assert call["mos_lq"] is None
    assert call_of(_caller(mos_lq=4.0), _callee(mos_lq=3.0))["mos_lq"] == 3.0


def test_a_leg_written_twice_counts_once(call_of: Callable[..., dict[str, Any]]) -> None:
    call = call_of(_caller(), _caller(ended_at_s=131.0), _callee())
    assert call["ended_at_s"] == 131.0


def test_concurrency_counts_media_both_ways_second_by_second(tmp_path: Path) -> None:
    legs: list[LegRecord] = []
    for number in range(100):
        start_s, tier = 1000.0 + number, Tier.MEDIA if number % 10 == 0 else Tier.PACKETS
        times = {"intended_at_s": start_s, "started_at_s": start_s, "first_audio_at_s": start_s + 1}
        legs += [_leg(side, f"c{number}", tier=tier, ended_at_s=start_s + 41, **times) for side in Side]
    write_segments(tmp_path / "calls", legs)
    with RunStore(find_run(tmp_path)) as store:
        make_calls(store, LIMITS)
        make_seconds(store)
        # One call a second, each heard for 40 s: 40 at once from second 1040 to 1100, 4 of them probes.
        assert peak_concurrent(store).value == 40
        assert concurrent_held_60s(store).value == 40
        assert probes_concurrent_min(store).value == 4
        assert store.value("SELECT sum(started) FROM seconds") == 100
        assert store.value("SELECT max(under_way) FROM seconds") == 41
        assert store.rows("SELECT in_media, under_way FROM seconds ORDER BY at_s DESC LIMIT 1") == [(0, 0)]


def test_a_run_of_less_than_a_minute_held_nothing_for_a_minute(tmp_path: Path) -> None:
    write_segments(tmp_path / "calls", [_caller(), _callee()])
    with RunStore(find_run(tmp_path)) as store:
        make_calls(store, LIMITS)
        make_seconds(store)
        assert concurrent_held_60s(store).value is None


def test_a_call_of_an_attempt_that_the_environment_spoiled_says_nothing_of_the_product(tmp_path: Path) -> None:
    cell = {"source": "matrix", "cell": "redmi-go--lte_good--audio_call"}
    died = {**cell, "attempt": 1, "hung_up_cleanly": False, "outcome": Outcome.FAILED, "reason": "browser_died"}
    legs = [_leg(side, "died", **died) for side in Side]
    legs += [_leg(side, "again", **cell, attempt=2) for side in Side]
    write_segments(tmp_path / "calls", legs)
    for attempt, status in ((1, CellStatus.ENVIRONMENT_ERROR), (2, CellStatus.PASSED)):
        result = CellResult(
            cell=cell["cell"], device="redmi-go", network="lte_good", scenario="audio_call", attempt=attempt,
            status=status,
        )  # fmt: skip
        write_cell(tmp_path, result)
    with RunStore(find_run(tmp_path)) as store:
        make_calls(store, LIMITS)
        calls = store.records("SELECT call_id, outcome FROM calls")
        legs_kept = store.value("SELECT count(*) FROM legs")
    assert calls == [{"call_id": "again", "outcome": "completed"}]
    assert legs_kept == 4

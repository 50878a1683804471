from __future__ import annotations

import pytest
from call_machines import LIMITS, hear, in_state, settle

from calls.call.blame import BlameEvidence
from calls.call.call_rules import CallState, SignalType
from calls.call.decisions import Action
from calls.call.state_machine import PEER_LOST_LIMIT_S, CallMachine, Ending
from calls.records.record import Blame, Outcome, Side, Stage


def shadow() -> CallMachine:
    return CallMachine(Side.CALLER, LIMITS, 100.0, shadow=True)


def test_a_shadow_call_is_routed_and_rings_nobody() -> None:
    machine = shadow()
    machine.on_signal(SignalType.TRYING, 100.1)
    assert machine.on_signal(SignalType.ENDED, 100.2, "shadowed") is Action.STOP
    assert settle(machine) == Ending(Outcome.SHADOWED, Blame.NOBODY, "", Stage.ATTEMPTED, True)


@pytest.mark.parametrize("what", [SignalType.RINGING, SignalType.ANSWERED, SignalType.CANDIDATE, SignalType.MEDIA])
def test_a_shadow_call_that_rings_somebody_is_a_finding(what: SignalType) -> None:
    machine = shadow()
    machine.on_signal(SignalType.TRYING, 100.1)
    machine.on_signal(what, 100.2)
    machine.on_signal(SignalType.ENDED, 100.3, "shadowed")
    ending = settle(machine)
    assert (ending.outcome, ending.reason, ending.blame) == (Outcome.FAILED, f"illegal_{what}", Blame.TARGET)


def test_a_shadow_call_is_refused_and_times_out_as_any_other() -> None:
    refused = shadow()
    refused.on_signal(SignalType.REFUSED, 100.1, "blocked")
    assert settle(refused).outcome is Outcome.BLOCKED
    silent = shadow()
    silent.on_signal(SignalType.TRYING, 100.1)
    assert silent.on_deadline(silent.deadline_s) is Action.CANCEL
    silent.on_deadline(silent.deadline_s)
    ending = settle(silent)
    assert (ending.reason, ending.blame) == ("no_routing", Blame.TARGET)


def test_a_death_that_was_meant_to_be_is_no_failure() -> None:
    survivor = in_state(Side.CALLER, CallState.RINGING)
    survivor.expect_peer_death()
    survivor.on_signal(SignalType.ANSWERED, 101.5)
    hear(survivor, 102.0)
    assert survivor.deadline_s == 102.0 + 30.0 + PEER_LOST_LIMIT_S
    assert survivor.on_signal(SignalType.ENDED, 110.0, "peer_lost") is Action.STOP
    ending = settle(survivor, BlameEvidence(max_gap_ms=5000.0))
    assert (ending.outcome, ending.reason, ending.blame) == (Outcome.DIED, "peer_lost", Blame.NOBODY)
    dead = in_state(Side.CALLEE, CallState.TALKING)
    assert dead.die() is Action.STOP
    assert (settle(dead).outcome, settle(dead).reason) == (Outcome.DIED, "vanished")

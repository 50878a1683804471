"""State machines of calls in any state, for tests."""

from __future__ import annotations

from calls.call.blame import BlameEvidence
from calls.call.call_limits import CallLimits
from calls.call.call_rules import CallState, SignalType
from calls.call.decisions import Action, Decision
from calls.call.state_machine import CallMachine, Ending
from calls.records.record import Side, Stage

LIMITS = CallLimits(setup_s=10.0, ring_s=45.0, gap_ms=2000.0, confirm_s=5.0, call_s=600.0)
FINE = BlameEvidence(max_gap_ms=60.0)


def caller(talk_s: float = 30.0) -> CallMachine:
    return CallMachine(Side.CALLER, LIMITS, 100.0, talk_s=talk_s)


def callee() -> CallMachine:
    return CallMachine(Side.CALLEE, LIMITS, 100.0)


def answered_callee(at_s: float = 101.0) -> CallMachine:
    machine = callee()
    machine.decide_at(Decision.ANSWER, at_s)
    assert machine.on_deadline(at_s) is Action.ANSWER
    machine.on_answer_sent(at_s)
    return machine


def in_state(side: Side, state: CallState) -> CallMachine:
    """A machine that was led to ``state`` by legal steps."""
    if side is Side.CALLEE:
        machine = callee() if state is CallState.RINGING else answered_callee()
    else:
        machine = caller()
        steps = {
            CallState.INVITING: [],
            CallState.PROCEEDING: [SignalType.TRYING],
            CallState.RINGING: [SignalType.TRYING, SignalType.RINGING],
        }.get(state, [SignalType.TRYING, SignalType.RINGING, SignalType.ANSWERED])
        for step in steps:
            machine.on_signal(step, 101.0)
    if state in {CallState.TALKING, CallState.LEAVING}:
        hear(machine, 102.0)
    if state is CallState.LEAVING:
        machine.leave(103.0, "")
    assert machine.state is state
    return machine


def hear(machine: CallMachine, now_s: float) -> None:
    for stage in (Stage.ICE, Stage.DTLS, Stage.MEDIA_BOTH_WAYS):
        machine.on_media(stage, now_s)


def settle(machine: CallMachine, evidence: BlameEvidence = FINE) -> Ending:
    assert machine.state is CallState.ENDED
    return machine.ending(evidence)

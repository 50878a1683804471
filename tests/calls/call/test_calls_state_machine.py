from __future__ import annotations

import itertools

import pytest
from call_machines import FINE, LIMITS, callee, caller, hear, in_state, settle

from calls.call.blame import BlameEvidence
from calls.call.call_rules import LEGAL, CallState, SignalType
from calls.call.decisions import Action, Decision
from calls.call.state_machine import CallMachine, Ending
from calls.records.record import Blame, Outcome, Side, Stage


def test_a_call_that_goes_well_for_the_caller() -> None:
    machine = caller(talk_s=30.0)
    assert machine.deadline_s == 110.0
    machine.on_signal(SignalType.TRYING, 100.1)
    machine.on_signal(SignalType.RINGING, 101.0)
    assert machine.deadline_s == 146.0
    machine.on_signal(SignalType.ANSWERED, 105.0)
    assert machine.deadline_s == pytest.approx(105.0 + 10.0 - 1.0)
    hear(machine, 106.0)
    assert machine.deadline_s == 136.0
    assert machine.on_deadline(136.0) is Action.HANG_UP
    assert machine.deadline_s == 141.0
    assert machine.on_signal(SignalType.ENDED, 136.1, "hangup") is Action.STOP
    assert settle(machine) == Ending(Outcome.COMPLETED, Blame.NOBODY, "", Stage.ENDED, True)


def test_a_call_that_goes_well_for_the_callee() -> None:
    machine = callee()
    machine.decide_at(Decision.ANSWER, 103.0)
    assert machine.deadline_s == 103.0
    assert machine.on_deadline(103.0) is Action.ANSWER
    machine.on_answer_sent(103.05)
    hear(machine, 104.0)
    machine.on_signal(SignalType.ENDED, 140.0, "hangup")
    assert settle(machine) == Ending(Outcome.COMPLETED, Blame.NOBODY, "", Stage.ENDED, True)


@pytest.mark.parametrize(
    ("code", "outcome", "reason", "blame"),
    [
        ("busy", Outcome.BUSY, "", Blame.NOBODY),
        ("blocked", Outcome.BLOCKED, "", Blame.NOBODY),
        ("offline", Outcome.FAILED, "refused_offline", Blame.UNKNOWN),
        ("unknown_user", Outcome.FAILED, "refused_unknown_user", Blame.GENERATOR),
        ("duplicate", Outcome.FAILED, "refused_duplicate", Blame.TARGET),
        ("overloaded", Outcome.FAILED, "refused_overloaded", Blame.TARGET),
    ],
)
def test_refusals(code: str, outcome: Outcome, reason: str, blame: Blame) -> None:
    machine = caller()
    assert machine.on_signal(SignalType.REFUSED, 100.1, code) is Action.STOP
    ending = settle(machine)
    assert (ending.outcome, ending.reason, ending.blame) == (outcome, reason, blame)


@pytest.mark.parametrize(
    ("side", "state", "code", "outcome", "reason"),
    [
        (Side.CALLER, CallState.RINGING, "declined", Outcome.DECLINED, ""),
        (Side.CALLER, CallState.RINGING, "no_answer", Outcome.NO_ANSWER, ""),
        (Side.CALLER, CallState.RINGING, "hangup", Outcome.FAILED, "answer_lost"),
        (Side.CALLER, CallState.RINGING, "canceled", Outcome.FAILED, "illegal_ended"),
        (Side.CALLER, CallState.CONNECTING, "hangup", Outcome.FAILED, "peer_gave_up"),
        (Side.CALLER, CallState.CONNECTING, "no_answer", Outcome.FAILED, "illegal_ended"),
        (Side.CALLER, CallState.TALKING, "hangup", Outcome.COMPLETED, "peer_hung_up"),
        (Side.CALLER, CallState.TALKING, "declined", Outcome.FAILED, "illegal_ended"),
        (Side.CALLER, CallState.TALKING, "peer_lost", Outcome.FAILED, "peer_lost"),
        (Side.CALLER, CallState.TALKING, "dropped_by_service", Outcome.FAILED, "dropped_by_service"),
        (Side.CALLER, CallState.LEAVING, "hangup", Outcome.COMPLETED, ""),
        (Side.CALLER, CallState.LEAVING, "peer_lost", Outcome.FAILED, "peer_lost"),
        (Side.CALLEE, CallState.RINGING, "canceled", Outcome.CANCELED, ""),
        (Side.CALLEE, CallState.RINGING, "no_answer", Outcome.NO_ANSWER, ""),
        (Side.CALLEE, CallState.RINGING, "answered_elsewhere", Outcome.CANCELED, "answered_elsewhere"),
        (Side.CALLEE, CallState.CONNECTING, "answered_elsewhere", Outcome.CANCELED, "answered_elsewhere"),
        (Side.CALLEE, CallState.RINGING, "declined", Outcome.DECLINED, ""),
        (Side.CALLER, CallState.RINGING, "shadowed", Outcome.FAILED, "illegal_ended"),
        (Side.CALLEE, CallState.RINGING, "hangup", Outcome.FAILED, "illegal_ended"),
        (Side.CALLEE, CallState.CONNECTING, "canceled", Outcome.CANCELED, ""),
        (Side.CALLEE, CallState.CONNECTING, "hangup", Outcome.FAILED, "peer_gave_up"),
        (Side.CALLEE, CallState.TALKING, "hangup", Outcome.COMPLETED, ""),
        (Side.CALLEE, CallState.TALKING, "canceled", Outcome.FAILED, "illegal_ended"),
    ],
)
def test_ends_that_the_service_tells(side: Side, state: CallState, code: str, outcome: Outcome, reason: str) -> None:
    machine = in_state(side, state)
    assert machine.on_signal(SignalType.ENDED, 104.0, code) is Action.STOP
    ending = settle(machine)
    assert (ending.outcome, ending.reason) == (outcome, reason)
    assert ending.hung_up_cleanly is (
        code not in {"peer_lost", "dropped_by_service"} and reason not in {"illegal_ended", "answer_lost"}
    )


@pytest.mark.parametrize(
    ("side", "state", "action", "reason"),
    [
        (Side.CALLER, CallState.INVITING, Action.CANCEL, "invite_timeout"),
        (Side.CALLER, CallState.PROCEEDING, Action.CANCEL, "no_ringing"),
        (Side.CALLER, CallState.RINGING, Action.CANCEL, "ring_timeout"),
        (Side.CALLER, CallState.CONNECTING, Action.HANG_UP, "ice_timeout"),
        (Side.CALLEE, CallState.RINGING, Action.DECLINE, "ring_timeout"),
        (Side.CALLEE, CallState.CONNECTING, Action.HANG_UP, "ice_timeout"),
    ],
)
def test_every_state_gives_up_in_time_and_ends_even_when_nobody_confirms(
    side: Side, state: CallState, action: Action, reason: str
) -> None:
    machine = in_state(side, state)
    assert machine.on_deadline(machine.deadline_s) is action
    assert machine.state is CallState.LEAVING
    assert machine.on_deadline(machine.deadline_s) is Action.STOP
    ending = settle(machine)
    assert (ending.outcome, ending.reason, ending.hung_up_cleanly) == (Outcome.FAILED, reason, False)


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        ([], "ice_timeout"),
        ([Stage.ICE], "dtls_timeout"),
        ([Stage.ICE, Stage.DTLS], "no_audio"),
    ],
)
def test_a_call_that_is_never_heard_says_how_far_it_came(stages: list[Stage], reason: str) -> None:
    machine = in_state(Side.CALLER, CallState.CONNECTING)
    for stage in stages:
        machine.on_media(stage, 103.0)
    machine.on_deadline(machine.deadline_s)
    machine.on_signal(SignalType.ENDED, 115.0, "hangup")
    ending = settle(machine)
    assert ending.reason == reason
    assert ending.stage is (stages[-1] if stages else Stage.ANSWERED)


def test_an_unconfirmed_hang_up_is_a_failure_of_the_target() -> None:
    machine = in_state(Side.CALLER, CallState.LEAVING)
    machine.on_deadline(machine.deadline_s)
    ending = settle(machine)
    assert (ending.outcome, ending.reason, ending.blame) == (Outcome.FAILED, "hangup_unconfirmed", Blame.TARGET)
    assert not ending.hung_up_cleanly


def test_an_impatient_caller_cancels() -> None:
    machine = caller()
    machine.cancel_after(4.0)
    machine.on_signal(SignalType.TRYING, 100.1)
    machine.on_signal(SignalType.RINGING, 101.0)
    assert machine.deadline_s == 105.0
    assert machine.on_deadline(105.0) is Action.CANCEL
    machine.on_signal(SignalType.ENDED, 105.1, "canceled")
    ending = settle(machine)
    assert (ending.outcome, ending.reason, ending.blame) == (Outcome.CANCELED, "impatient", Blame.NOBODY)


@pytest.mark.parametrize(
    ("crossing", "outcome"),
    [("declined", Outcome.DECLINED), ("no_answer", Outcome.NO_ANSWER), ("hangup", Outcome.CANCELED)],
)
def test_messages_that_cross_a_cancel_are_no_findings(crossing: str, outcome: Outcome) -> None:
    machine = caller()
    machine.cancel_after(1.0)
    machine.on_signal(SignalType.RINGING, 101.0)
    machine.on_deadline(102.0)
    machine.on_signal(SignalType.ANSWERED, 102.01)
    assert machine.state is CallState.LEAVING
    machine.on_signal(SignalType.ENDED, 102.1, crossing)
    assert machine.violations == []
    assert settle(machine).outcome is outcome


def test_patience_beyond_the_ring_limit_leaves_the_failure_with_the_service() -> None:
    machine = caller()
    machine.cancel_after(500.0)
    machine.on_signal(SignalType.RINGING, 101.0)
    assert machine.deadline_s == 101.0 + LIMITS.ring_s
    machine.on_deadline(machine.deadline_s)
    machine.on_deadline(machine.deadline_s)
    assert settle(machine).reason == "ring_timeout"


@pytest.mark.parametrize(
    ("decision", "action", "outcome"),
    [(Decision.DECLINE, Action.DECLINE, Outcome.DECLINED), (Decision.ANSWER, Action.ANSWER, Outcome.CANCELED)],
)
def test_a_called_person_decides_in_time(decision: Decision, action: Action, outcome: Outcome) -> None:
    machine = callee()
    machine.decide_at(decision, 102.0)
    assert machine.on_deadline(102.0) is action
    machine.on_signal(SignalType.ENDED, 102.1, "declined" if decision is Decision.DECLINE else "canceled")
    assert settle(machine).outcome is outcome


def test_one_who_ignores_the_call_waits_for_the_service_to_end_it() -> None:
    machine = callee()
    machine.decide_at(Decision.IGNORE, 102.0)
    assert machine.deadline_s == 100.0 + LIMITS.ring_s
    machine.on_signal(SignalType.ENDED, 130.0, "no_answer")
    assert settle(machine).outcome is Outcome.NO_ANSWER


def test_an_answer_that_cannot_be_made_is_our_fault() -> None:
    machine = callee()
    machine.decide_at(Decision.ANSWER, 101.0)
    machine.on_deadline(101.0)
    assert machine.on_deadline(machine.deadline_s) is Action.DECLINE
    machine.on_signal(SignalType.ENDED, 120.0, "declined")
    ending = settle(machine)
    assert (ending.outcome, ending.reason, ending.blame) == (Outcome.FAILED, "answer_timeout", Blame.GENERATOR)


def test_a_gap_beyond_the_limit_fails_a_call_that_ended_well() -> None:
    machine = in_state(Side.CALLER, CallState.LEAVING)
    machine.on_signal(SignalType.ENDED, 104.0, "hangup")
    ending = machine.ending(BlameEvidence(max_gap_ms=2001.0, link_lost=9))
    assert (ending.outcome, ending.reason, ending.blame) == (Outcome.FAILED, "gap", Blame.NETWORK)
    assert ending.stage is Stage.MEDIA_BOTH_WAYS
    assert machine.ending(BlameEvidence(max_gap_ms=2000.0)).outcome is Outcome.COMPLETED


ILLEGAL = [(side, state, what) for (side, state), legal in LEGAL.items() for what in SignalType if what not in legal]


@pytest.mark.parametrize(("side", "state", "what"), ILLEGAL)
def test_an_illegal_message_is_a_finding_and_changes_nothing_else(
    side: Side, state: CallState, what: SignalType
) -> None:
    machine = in_state(side, state)
    deadline_s = machine.deadline_s
    assert machine.on_signal(what, 103.5) is Action.NONE
    assert machine.state is state
    assert machine.deadline_s == deadline_s
    assert machine.violations == [f"illegal_{what}"]


def test_a_reply_is_legal_once_after_the_question_and_due() -> None:
    for reply, reason in ((SignalType.REANSWER, "reoffer_timeout"), (SignalType.RESUMED, "resume_timeout")):
        machine = in_state(Side.CALLEE, CallState.TALKING)
        machine.expect_reply(reply, 110.0)
        assert machine.deadline_s == 110.0 + LIMITS.reply_s
        machine.on_signal(reply, 111.0)
        assert machine.deadline_s == 102.0 + LIMITS.call_s
        assert machine.violations == []
        machine.on_signal(reply, 112.0)
        assert machine.violations == [f"illegal_{reply}"]

        silent = in_state(Side.CALLEE, CallState.TALKING)
        silent.expect_reply(reply, 110.0)
        assert silent.on_deadline(silent.deadline_s) is Action.HANG_UP
        silent.on_signal(reply, 121.0)
        silent.on_signal(SignalType.ENDED, 121.1, "hangup")
        ending = settle(silent)
        assert (ending.outcome, ending.reason, ending.blame) == (Outcome.FAILED, reason, Blame.TARGET)
        assert silent.violations == []


def test_an_offer_that_gave_way_is_no_longer_due() -> None:
    machine = in_state(Side.CALLER, CallState.TALKING)
    machine.expect_reply(SignalType.REANSWER, 103.0)
    machine.withdraw(SignalType.REANSWER)
    assert machine.deadline_s == 132.0
    machine.on_signal(SignalType.REANSWER, 104.0)
    assert machine.violations == ["illegal_reanswer"]


def test_an_invitation_is_shown_again_once_and_only_to_who_was_dialing() -> None:
    for state in (CallState.RINGING, CallState.CONNECTING, CallState.TALKING):
        machine = in_state(Side.CALLEE, state)
        machine.allow_repeated_invitation()
        machine.on_signal(SignalType.INCOMING, 103.0)
        assert machine.violations == []
        assert machine.state is state
        machine.on_signal(SignalType.INCOMING, 103.1)
        assert machine.violations == ["illegal_incoming"]


def test_a_finding_fails_the_call_at_its_end() -> None:
    machine = in_state(Side.CALLER, CallState.TALKING)
    machine.on_signal(SignalType.ANSWERED, 103.0)
    machine.leave(104.0, "")
    machine.on_signal(SignalType.ENDED, 104.1, "hangup")
    ending = settle(machine)
    assert (ending.outcome, ending.reason, ending.blame) == (Outcome.FAILED, "illegal_answered", Blame.TARGET)
    assert ending.hung_up_cleanly


def test_both_sides_have_a_row_for_each_of_their_states() -> None:
    states = set(CallState) - {CallState.ENDED}
    assert {state for side, state in LEGAL if side is Side.CALLER} == states
    assert {state for side, state in LEGAL if side is Side.CALLEE} == states - {
        CallState.INVITING,
        CallState.PROCEEDING,
    }


@pytest.mark.parametrize("side", list(Side))
def test_whatever_happens_in_whatever_order_the_call_ends_in_bounded_time(side: Side) -> None:
    for order in itertools.product(
        [SignalType.TRYING, SignalType.RINGING, SignalType.ANSWERED, SignalType.MEDIA, None], repeat=4
    ):
        machine = CallMachine(side, LIMITS, 0.0, talk_s=5.0)
        now_s = 0.0
        for what in order:
            now_s += 0.1
            if what is None:
                hear(machine, now_s)
            else:
                machine.on_signal(what, now_s)
        for _ in range(6):
            if machine.state is CallState.ENDED:
                break
            assert machine.deadline_s >= now_s
            now_s = machine.deadline_s
            if machine.on_deadline(now_s) is Action.ANSWER:
                machine.on_answer_sent(now_s)
        assert machine.state is CallState.ENDED
        assert now_s <= LIMITS.setup_s + LIMITS.ring_s + LIMITS.call_s + LIMITS.confirm_s


@pytest.mark.parametrize(
    ("state", "code", "action", "ends"),
    [
        (CallState.INVITING, "rate_limited", Action.STOP, True),
        (CallState.RINGING, "internal", Action.CANCEL, False),
        (CallState.TALKING, "illegal_transition", Action.HANG_UP, False),
        (CallState.TALKING, "unknown_call", Action.STOP, True),
    ],
)
def test_an_error_of_the_service_ends_the_call(state: CallState, code: str, action: Action, ends: bool) -> None:
    machine = in_state(Side.CALLER, state)
    assert machine.on_signal(SignalType.ERROR, 103.0, code) is action
    assert (machine.state is CallState.ENDED) is ends
    if not ends:
        machine.on_signal(SignalType.ENDED, 103.1, "hangup")
    ending = settle(machine)
    assert (ending.outcome, ending.reason, ending.blame) == (Outcome.FAILED, f"error_{code}", Blame.TARGET)


def test_leaving_twice_says_goodbye_once() -> None:
    machine = in_state(Side.CALLER, CallState.TALKING)
    assert machine.leave(103.0, "drained") is Action.HANG_UP
    assert machine.leave(103.1, "other") is Action.NONE
    machine.on_signal(SignalType.ENDED, 103.2, "hangup")
    assert settle(machine).reason == "drained"


def test_a_call_that_is_on_cannot_be_settled() -> None:
    with pytest.raises(ValueError, match="ringing"):
        callee().ending(FINE)

"""Follows one side of one call through its states. No I/O, no clock.

    caller   inviting > proceeding > ringing > connecting > talking > leaving > ended
    callee                           ringing > connecting > talking > leaving > ended

``proceeding``: the service accepted the invitation. ``connecting``: answered, no audio yet. ``leaving``: we hung up and
wait for the service to confirm it. Any state may go to ``ended``. The driver calls ``on_signal`` for messages of the
service, ``on_media`` for media milestones and ``on_deadline`` when ``deadline_s`` has passed. It carries out the Action
that each returns. Every state has a deadline, so every call ends in bounded time.

A message that ``call_rules`` does not allow is a violation by the target. The call goes on as a real client's would. At
its end it fails with ``illegal_<message>``, unless it failed for another reason.

| limit             | from                        | reason when it passes                       | then    |
|-------------------|-----------------------------|---------------------------------------------|---------|
| setup             | the invitation              | invite_timeout, no_ringing                  | cancel  |
| setup             | picking up (callee)         | answer_timeout                              | decline |
| patience          | ringing (caller)            | (outcome canceled)                          | cancel  |
| ring              | ringing                     | ring_timeout                                | cancel  |
| setup, less the   | the answer                  | ice_timeout, dtls_timeout, no_audio, by the | hang up |
|   time to ringing |                             |   last media milestone                      |         |
| talk, or what the | the first audio (caller)    | (outcome completed)                         | hang up |
|   scenario needs  |                             |                                             |         |
| call              | the first audio (callee)    | (outcome completed, call_limit)             | hang up |
| reply             | our offer inside the call   | reoffer_timeout                             | hang up |
| reply             | our call.resume             | resume_timeout                              | hang up |
| confirm           | our hang-up                 | hangup_unconfirmed, cancel_unconfirmed      | stop    |

A shadow call (``shadow=True``) goes ``inviting > proceeding > ended``. The service routes or refuses it by the same
rules, never rings, and ends it with ``shadowed``; its limit is ``no_routing``. When the scenario lets the far side die
(``expect_peer_death``), ``peer_lost`` gives the outcome ``died``, and the caller talks on until it is told.

``calls.call.blame`` decides whose fault each reason is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from calls.call.blame import BlameEvidence, blame_of
from calls.call.call_limits import CallLimits
from calls.call.call_rules import (
    ANSWERED_ELSEWHERE,
    LEGAL,
    LEGAL_ENDS,
    LEGAL_IN_SHADOW,
    LOST,
    SHADOWED,
    CallState,
    SignalType,
)
from calls.call.decisions import Action, Decision
from calls.records.record import FUNNEL, Blame, Outcome, Side, Stage


@dataclass(frozen=True, slots=True)
class Ending:
    """How one side of a call ended."""

    outcome: Outcome
    blame: Blame
    reason: str
    stage: Stage
    hung_up_cleanly: bool


IMPATIENT = "impatient"
"""The reason of a canceled call whose caller did not wait longer."""
REPLY_TIMEOUTS = {SignalType.REANSWER: "reoffer_timeout", SignalType.RESUMED: "resume_timeout"}
"""Messages that are legal only as a reply to one of ours, and the reason of the failure when they do not arrive."""

_ANSWERED_STATES = frozenset({CallState.CONNECTING, CallState.TALKING})
_FINAL_SIGNALS = frozenset({SignalType.ENDED, SignalType.ERROR, SignalType.REFUSED})
_REASONS_KEPT = frozenset({ANSWERED_ELSEWHERE})
"""Reasons that the record keeps although the call did not fail."""
_HUMAN_ENDS = {
    "declined": Outcome.DECLINED,
    "no_answer": Outcome.NO_ANSWER,
    "canceled": Outcome.CANCELED,
    "answered_elsewhere": Outcome.CANCELED,
}
VANISHED = "vanished"
"""The reason of a side that died."""
PEER_LOST_LIMIT_S = 30.0
"""How much longer than planned a caller talks while it waits to be told that the far side died."""
_SLOW_SERVICE = {CallState.INVITING: "invite_timeout", CallState.PROCEEDING: "no_ringing"}
_HUMAN_REFUSALS = {"busy": Outcome.BUSY, "blocked": Outcome.BLOCKED}


class CallMachine:
    """One side of one call. Times are seconds of any one clock. The driver must act at ``deadline_s``."""

    def __init__(
        self, side: Side, limits: CallLimits, now_s: float, *, talk_s: float = 0.0, shadow: bool = False
    ) -> None:
        self.side = side
        self.limits = limits
        self.shadow = shadow
        self.state = CallState.INVITING if side is Side.CALLER else CallState.RINGING
        self.stage = Stage.ATTEMPTED if side is Side.CALLER else Stage.RINGING
        self.violations: list[str] = []
        self._deadline_s = now_s + (limits.setup_s if side is Side.CALLER else limits.ring_s)
        self._reply_deadlines_s: dict[SignalType, float] = {}
        self._allowed_once: set[SignalType] = set()
        """Messages that are legal once, late: replies that were due when we hung up, a repeated invitation."""
        self._peer_dies = False
        self._began_s = now_s
        self._before_ring_s = 0.0
        self._talk_s = talk_s
        self._cancel_after_s: float | None = None
        self._decision = Decision.IGNORE
        self._decision_made = False
        self._outcome: Outcome | None = None
        self._reason = ""
        self._clean = False
        self._talk_completed = False

    @property
    def deadline_s(self) -> float:
        """When to call ``on_deadline`` next."""
        return min(self._deadline_s, *self._reply_deadlines_s.values(), math.inf)

    # What our side does.

    def start_setup(self, now_s: float) -> None:
        """The caller's invitation leaves now: every limit starts here."""
        self._began_s = now_s
        self._deadline_s = now_s + self.limits.setup_s

    def cancel_after(self, patience_s: float) -> None:
        """The caller cancels when it has rung for ``patience_s``."""
        self._cancel_after_s = patience_s

    def decide_at(self, decision: Decision, at_s: float) -> None:
        """The callee carries out ``decision`` at ``at_s``."""
        self._decision = decision
        if decision is not Decision.IGNORE:
            self._deadline_s = min(self._deadline_s, at_s)

    def is_planned_talk_over(self, now_s: float) -> bool:
        """Whether the planned talk time has passed and nothing else is due."""
        return self.state is CallState.TALKING and self._deadline_s <= now_s

    def end_talk_at(self, at_s: float) -> None:
        """Moves the end of the talk to ``at_s``."""
        if self.state is CallState.TALKING:
            self._deadline_s = at_s

    def expect_peer_death(self) -> None:
        """The scenario lets the far side die, and this side waits to be told."""
        self._peer_dies = True
        self._talk_s += PEER_LOST_LIMIT_S

    def expect_reply(self, reply: SignalType, now_s: float) -> None:
        """Notes that ``reply`` is due from the service or the far end. It is legal once."""
        if self.state is CallState.LEAVING:
            self._allowed_once.add(reply)
        else:
            self._reply_deadlines_s[reply] = now_s + self.limits.reply_s

    def allow_repeated_invitation(self) -> None:
        """Allows one more invitation for this call: this side was dialing when the first came, or has resumed."""
        self._allowed_once.add(SignalType.INCOMING)

    def withdraw(self, reply: SignalType) -> None:
        """Notes that ``reply`` is no longer due, because our offer gave way to the far end's."""
        self._reply_deadlines_s.pop(reply, None)

    def awaits(self, reply: SignalType) -> bool:
        """Whether ``reply`` is due."""
        return reply in self._reply_deadlines_s

    def record_violation(self, violation: str) -> None:
        """Records that the service broke a rule that ``on_signal`` does not see itself."""
        if self.state is not CallState.ENDED:
            self.violations.append(violation)

    @property
    def died(self) -> bool:
        """Whether this side has vanished."""
        return self.state is CallState.ENDED and self._reason == VANISHED

    def die(self) -> Action:
        """This side vanishes, as its scenario says."""
        return self._end(Outcome.DIED, VANISHED)

    def on_answer_sent(self, now_s: float) -> Action:
        """The callee's answer was sent."""
        if self.state is CallState.RINGING:
            self._connect(now_s)
        return Action.NONE

    def leave(self, now_s: float, reason: str, *, failed: bool = False) -> Action:
        """Ends the call from this side in any state: the person hangs up, or we noticed a failure."""
        if self.state in {CallState.LEAVING, CallState.ENDED}:
            return Action.NONE
        was, heard = self.state, self.state is CallState.TALKING
        self._allowed_once |= set(self._reply_deadlines_s)
        self._reply_deadlines_s.clear()
        self.state = CallState.LEAVING
        self._deadline_s = now_s + self.limits.confirm_s
        self._reason = reason
        if was in _ANSWERED_STATES:
            self._outcome, action = (Outcome.COMPLETED if heard else Outcome.CANCELED), Action.HANG_UP
        elif self.side is Side.CALLER:
            self._outcome, action = Outcome.CANCELED, Action.CANCEL
        else:
            self._outcome, action = Outcome.DECLINED, Action.DECLINE
        if failed:
            self._outcome = Outcome.FAILED
        return action

    def stop(self, reason: str) -> Action:
        """Ends the call without another message: the signaling is gone, or the engine ends."""
        return self._end(Outcome.FAILED, reason)

    # Messages of the service.

    def on_signal(self, what: SignalType, now_s: float, code: str = "") -> Action:
        """Takes a message of the service. ``code`` is the reason of ``refused``, ``ended`` and ``error``."""
        if self.state is CallState.ENDED:
            return Action.NONE
        if not self._is_legal(what):
            self.violations.append(f"illegal_{what}")
            return Action.NONE
        if what in _FINAL_SIGNALS:
            return self._on_final_signal(what, now_s, code)
        self._allowed_once.discard(what)
        if what in REPLY_TIMEOUTS:
            self._reply_deadlines_s.pop(what, None)
        elif what is SignalType.ANSWERED and self.state is not CallState.LEAVING:
            self._connect(now_s)
        elif what is SignalType.TRYING and self.state is CallState.INVITING:
            self.state = CallState.PROCEEDING
        elif what is SignalType.RINGING and self.state in {CallState.INVITING, CallState.PROCEEDING}:
            self._ring(now_s)
        return Action.NONE

    # Media milestones.

    def on_media(self, reached: Stage, now_s: float) -> Action:
        """Takes a media milestone: ICE, DTLS, or MEDIA_BOTH_WAYS at the first audio received."""
        self._reach(reached)
        if reached is Stage.MEDIA_BOTH_WAYS and self.state is CallState.CONNECTING:
            self.state = CallState.TALKING
            self._deadline_s = now_s + (self._talk_s if self.side is Side.CALLER else self.limits.call_s)
        return Action.NONE

    def on_deadline(self, now_s: float) -> Action:
        """``deadline_s`` has passed."""
        for reply, by_s in self._reply_deadlines_s.items():
            if by_s <= now_s < self._deadline_s:
                return self.leave(now_s, REPLY_TIMEOUTS[reply], failed=True)
        if self.state is CallState.RINGING:
            return self._ringing_ended(now_s)
        if self.state is CallState.LEAVING:
            return self._unconfirmed()
        if self.state is CallState.TALKING:
            self._talk_completed = True
            return self.leave(now_s, "" if self.side is Side.CALLER else "call_limit")
        if self.state is CallState.CONNECTING:
            return self.leave(now_s, _missing(self.stage), failed=True)
        reason = "no_routing" if self.shadow and self.state is CallState.PROCEEDING else _SLOW_SERVICE[self.state]
        return self.leave(now_s, reason, failed=True)

    # The end.

    def ending(self, evidence: BlameEvidence) -> Ending:
        """Returns how the call ended for this side. Only legal in the state ``ended``."""
        if self.state is not CallState.ENDED or self._outcome is None:
            raise ValueError(f"a call that is {self.state} has not ended")
        outcome, reason = self._outcome, self._reason
        too_long = evidence.max_gap_ms is not None and evidence.max_gap_ms > self.limits.gap_ms
        if outcome is Outcome.COMPLETED and too_long:
            outcome, reason = Outcome.FAILED, "gap"
        if self.violations and outcome is not Outcome.FAILED:
            outcome, reason = Outcome.FAILED, self.violations[0]
        if outcome is Outcome.COMPLETED:
            self._reach(Stage.ENDED)
        elif self._talk_completed and not too_long:
            self._reach(Stage.SUSTAINED)
        blame = blame_of(reason, evidence) if outcome is Outcome.FAILED else Blame.NOBODY
        if blame is Blame.UNKNOWN and self.violations:
            blame = Blame.TARGET
        return Ending(outcome, blame, reason, self.stage, self._clean)

    def _is_legal(self, what: SignalType) -> bool:
        if self.shadow:
            return what in LEGAL_IN_SHADOW
        if what in self._allowed_once:
            return True
        if what in REPLY_TIMEOUTS:
            return self.awaits(what)
        return what in LEGAL[self.side, self.state]

    def _ring(self, now_s: float) -> None:
        self.state = CallState.RINGING
        self._reach(Stage.RINGING)
        self._before_ring_s = now_s - self._began_s
        patience_s = (
            self.limits.ring_s if self._cancel_after_s is None else min(self._cancel_after_s, self.limits.ring_s)
        )
        self._deadline_s = now_s + patience_s

    def _ringing_ended(self, now_s: float) -> Action:
        if self.side is Side.CALLER:
            if self._cancel_after_s is not None and self._cancel_after_s < self.limits.ring_s:
                return self.leave(now_s, IMPATIENT)
            return self.leave(now_s, "ring_timeout", failed=True)
        if self._decision_made:
            return self.leave(now_s, "answer_timeout", failed=True)
        if self._decision is Decision.IGNORE:
            return self.leave(now_s, "ring_timeout", failed=True)
        self._decision_made = True
        if self._decision is Decision.DECLINE:
            return self.leave(now_s, "")
        # The answer must be created and sent within the setup limit.
        self._deadline_s = now_s + self.limits.setup_s
        return Action.ANSWER

    def _connect(self, now_s: float) -> None:
        if self.state in {CallState.INVITING, CallState.PROCEEDING}:
            self._before_ring_s = now_s - self._began_s
        self.state = CallState.CONNECTING
        self._reach(Stage.ANSWERED)
        self._deadline_s = now_s + max(1.0, self.limits.setup_s - self._before_ring_s)

    def _on_final_signal(self, what: SignalType, now_s: float, code: str) -> Action:
        if what is SignalType.ERROR:
            return self._on_error(now_s, f"error_{code}")
        if what is SignalType.REFUSED:
            outcome = _HUMAN_REFUSALS.get(code, Outcome.FAILED)
            return self._end(outcome, f"refused_{code}" if outcome is Outcome.FAILED else "")
        if self.shadow and code == SHADOWED:
            self._clean = True
            return self._end(Outcome.SHADOWED, "")
        if self._peer_dies and code == "peer_lost":
            return self._end(Outcome.DIED, code)
        return self._on_ended(code)

    def _on_ended(self, code: str) -> Action:
        if self.side is Side.CALLER and code == "hangup" and self.state in {CallState.PROCEEDING, CallState.RINGING}:
            # The callee hung up on a call that it had answered, and that answer never reached us.
            return self._end(Outcome.FAILED, "answer_lost")
        if code not in LOST and (self.shadow or code not in LEGAL_ENDS[self.side, self.state]):
            self.violations.append("illegal_ended")
            return self._end(Outcome.FAILED, "illegal_ended")
        if self.state is CallState.LEAVING:
            return self._confirmed(code)
        self._clean = code not in LOST
        if code == "hangup":
            if self.state is CallState.TALKING:
                self._talk_completed = self.side is Side.CALLEE
                return self._end(Outcome.COMPLETED, "peer_hung_up" if self.side is Side.CALLER else "")
            return self._end(Outcome.FAILED, "peer_gave_up")
        return self._end(_HUMAN_ENDS.get(code, Outcome.FAILED), code if code in LOST | _REASONS_KEPT else "")

    def _on_error(self, now_s: float, reason: str) -> Action:
        gone = reason == "error_unknown_call" or self.state in {CallState.INVITING, CallState.LEAVING}
        return self._end(Outcome.FAILED, reason) if gone else self.leave(now_s, reason, failed=True)

    def _confirmed(self, code: str) -> Action:
        self._clean = code not in LOST
        if self._outcome is not Outcome.FAILED and code in LOST:
            return self._end(Outcome.FAILED, code)
        if self._outcome is Outcome.CANCELED and code in _REASONS_KEPT:
            return self._end(Outcome.CANCELED, code)
        if self._outcome is Outcome.CANCELED and code in {"declined", "no_answer"}:
            # Their message crossed our cancel, and the service took theirs first.
            return self._end(_HUMAN_ENDS[code], "")
        return self._end(self._outcome or Outcome.FAILED, self._reason)

    def _unconfirmed(self) -> Action:
        if self._outcome is Outcome.COMPLETED:
            return self._end(Outcome.FAILED, "hangup_unconfirmed")
        if self._outcome in {Outcome.CANCELED, Outcome.DECLINED}:
            return self._end(Outcome.FAILED, "cancel_unconfirmed")
        return self._end(Outcome.FAILED, self._reason)

    def _end(self, outcome: Outcome, reason: str) -> Action:
        if self.state is not CallState.ENDED:
            self.state = CallState.ENDED
            self._outcome, self._reason = outcome, reason
        return Action.STOP

    def _reach(self, stage: Stage) -> None:
        if FUNNEL.index(stage) > FUNNEL.index(self.stage):
            self.stage = stage


def _missing(stage: Stage) -> str:
    """Returns the reason of a call that was answered but had no audio in time: the first missing milestone."""
    if stage is Stage.ANSWERED:
        return "ice_timeout"
    return "dtls_timeout" if stage is Stage.ICE else "no_audio"

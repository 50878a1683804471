"""Computes how long a call keeps two people busy, from the habits of the people in a mix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calls.records.record import Outcome
from calls.scenarios import SCENARIOS
from loadtests.plan.durations import TalkTime
from loadtests.plan.personas import Mix, PersonaBook, shares

SETUP_S = 1.2
"""Invitation, ICE and DTLS over the mix's networks: an estimate. An error here only shifts the mean concurrency, by a
few per cent, since arrivals are open; what was reached is read from the records."""


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The time that one attempt keeps a caller and a callee busy, in the mean and as a survival function."""

    talk: TalkTime
    ring_s: float
    """Mean time from the invitation until media flows, or until the call is declined."""
    answered: float
    """Share of attempts that end in talk."""
    ignored: float
    """Share of attempts that ring until the service gives up."""
    no_answer_s: float

    def mean_s(self) -> float:
        """Returns the mean seconds of an attempt: ringing, and talking where it was answered."""
        return (
            self.answered * (self.ring_s + self.talk.mean_s())
            + self.ignored * self.no_answer_s
            + (1 - self.answered - self.ignored) * self.ring_s
        )

    def talking_s(self) -> float:
        """Returns the mean seconds of media that one attempt brings."""
        return self.answered * self.talk.mean_s()

    def survival(self, age_s: float) -> float:
        """Returns the share of attempts that still keep their people busy ``age_s`` after they began."""
        if age_s < self.ring_s:
            return 1.0
        ringing_on = self.ignored if age_s < self.no_answer_s else 0.0
        return self.answered * self.talk.survival(age_s - self.ring_s) + ringing_on

    def longest_s(self) -> float:
        """Returns the age at which no attempt is left."""
        return max(self.ring_s + self.talk.max_s, self.no_answer_s)


def occupancy_of(
    talk: TalkTime,
    mix: Mix,
    book: PersonaBook,
    no_answer_s: float,
    scenarios: Mapping[str, float] | None = None,
    patience: TalkTime | None = None,
) -> Occupancy:
    """Returns the occupancy of calls between people of ``mix``, every person equally likely to be called.

    ``scenarios`` are the plan's weights: one that is not expected to be completed brings no talk, and one in which
    nobody answers rings to the end. ``patience`` bounds how long a call rings that nobody takes.
    """
    ring_s = answered = ignored = 0.0
    for persona_id, share in shares(mix).items():
        habits = book.personas[persona_id].answers
        ring_s += share * (habits.after_s + SETUP_S)
        answered += share * habits.answers_ratio
        ignored += share * habits.ignores
    weights = scenarios or {"talk": 1.0}
    total = sum(weights.values())
    talked = rung_out = 0.0
    for name, weight in weights.items():
        part = SCENARIOS[name].caller if name in SCENARIOS else SCENARIOS["talk"].caller
        # A call that is meant to be talked through may also go unanswered, as the callee's habits have it.
        talks = Outcome.COMPLETED in part.expected
        talked += weight / total * talks
        rung_out += weight / total * (not talks and Outcome.NO_ANSWER in part.expected)
    answered_by_habit, ignored_by_habit = answered, ignored
    ignored = talked * ignored_by_habit + rung_out
    # Only talk is given up for impatience; a call that is scripted to ring out rings out.
    longest_ring_s = no_answer_s if patience is None or rung_out else min(no_answer_s, patience.max_s)
    return Occupancy(talk, min(ring_s, longest_ring_s), talked * answered_by_habit, ignored, longest_ring_s)

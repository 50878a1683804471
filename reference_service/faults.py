"""Ways to make the product worse on purpose, switched while it runs: what a release gate must notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec


class FaultOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /admin/faults``: what is absent stays as it is."""

    degradation: bool | None = None
    answer_delay_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] | None = None
    lose_every_nth_answer: Annotated[int, msgspec.Meta(ge=0)] | None = None


@dataclass(slots=True)
class Faults:
    """The faults in force. ``degradation`` reaches a client with its next ``welcome``."""

    degradation: bool
    answer_delay_ms: int
    lose_every_nth_answer: int
    answers_seen: int = 0
    answers_lost: int = 0

    def apply(self, order: FaultOrder) -> None:
        """Takes over what ``order`` names; a new ``lose_every_nth_answer`` counts from its own start."""
        if order.degradation is not None:
            self.degradation = order.degradation
        if order.answer_delay_ms is not None:
            self.answer_delay_ms = order.answer_delay_ms
        if order.lose_every_nth_answer is not None:
            self.lose_every_nth_answer = order.lose_every_nth_answer
            self.answers_seen = 0

    def loses_this_answer(self) -> bool:
        """Counts one answer and says whether it is to vanish on its way to the caller."""
        self.answers_seen += 1
        lost = self.lose_every_nth_answer > 0 and self.answers_seen % self.lose_every_nth_answer == 0
        self.answers_lost += lost
        return lost

    def to_dict(self) -> dict[str, object]:
        """The faults in force, for the admin API."""
        return {
            "degradation": self.degradation,
            "answer_delay_ms": self.answer_delay_ms,
            "lose_every_nth_answer": self.lose_every_nth_answer,
            "answers_seen": self.answers_seen,
            "answers_lost": self.answers_lost,
        }

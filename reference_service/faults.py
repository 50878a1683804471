"""Makes the service worse on purpose, while it runs, so that a release gate can be tested."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import msgspec

GARBAGE = (
    b"this is not JSON",
    b'{"type": 7}',
    b'["call.ended"]',
    b'{"type":"call.ended","call_id":["not","text"],"reason":{}}',
    b'{"type":"call.answered","call_id":"nobody knows","sdp":"' + b"x" * 60_000 + b'"}',
    b"\x00" * 64,
)
"""What a client gets instead of a message, in turn: no JSON, wrong types, wrong fields, far too much data."""

SLOWEST_RATE_PER_S = 0.001
"""One in about 17 minutes. A rate near zero would give an infinite ``retry_after_s``."""


class FaultOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /admin/faults``: absent fields stay unchanged."""

    degradation: bool | None = None
    answer_delay_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] | None = None
    lose_every_nth_answer: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] | None = None
    rate_limit_per_s: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    slow_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] | None = None
    garbage_every_nth: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] | None = None

    def __post_init__(self) -> None:
        if self.rate_limit_per_s is not None and 0 < self.rate_limit_per_s < SLOWEST_RATE_PER_S:
            raise ValueError(f"rate_limit_per_s is 0 (off) or at least {SLOWEST_RATE_PER_S:g}")


@dataclass(slots=True)
class Faults:
    """The faults in force; 0 is off. ``degradation`` reaches a client with its next ``welcome``."""

    degradation: bool
    answer_delay_ms: int
    lose_every_nth_answer: int
    rate_limit_per_s: float = 0.0
    """Sign-ins, invitations and text messages that the whole service accepts a second, each kind counted alone."""
    slow_ms: int = 0
    """Delay before every request, and every message of a client, is handled."""
    garbage_every_nth: int = 0
    """Every nth message to a client, counted over all of them, is replaced by garbage."""
    answers_seen: int = 0
    answers_lost: int = 0
    refused_by_rate: int = 0
    sent_as_garbage: int = 0
    _sent: int = 0
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By kind: tokens left, and when they were counted."""

    def apply(self, order: FaultOrder) -> None:
        """Sets the fields that ``order`` names. Counters of a changed field start again at zero."""
        for name in order.__struct_fields__:
            value = getattr(order, name)
            if value is not None:
                setattr(self, name, value)
        if order.lose_every_nth_answer is not None:
            self.answers_seen = 0
        if order.garbage_every_nth is not None:
            self._sent = 0
        if order.rate_limit_per_s is not None:
            self._buckets.clear()

    def loses_this_answer(self) -> bool:
        """Counts one answer. Returns whether it is lost on its way to the caller."""
        self.answers_seen += 1
        lost = self.lose_every_nth_answer > 0 and self.answers_seen % self.lose_every_nth_answer == 0
        self.answers_lost += lost
        return lost

    def corrupt_if_due(self, message: bytes) -> bytes:
        """Returns ``message``, or garbage in its place when it is its turn."""
        if self.garbage_every_nth <= 0:
            return message
        self._sent += 1
        if self._sent % self.garbage_every_nth:
            return message
        self.sent_as_garbage += 1
        return GARBAGE[self.sent_as_garbage % len(GARBAGE)]

    def over_rate(self, kind: str, now_s: float) -> float | None:
        """Counts one ``kind``. When it is over the rate, returns after how many seconds to try again."""
        rate = self.rate_limit_per_s
        if rate <= 0:
            return None
        depth = max(1.0, rate)
        tokens, at_s = self._buckets.get(kind, (depth, now_s))
        tokens = min(depth, tokens + (now_s - at_s) * rate)
        refused = tokens < 1.0
        self._buckets[kind] = (tokens if refused else tokens - 1.0, now_s)
        self.refused_by_rate += refused
        return (1.0 - tokens) / rate if refused else None

    def to_dict(self) -> dict[str, object]:
        """The faults in force, for the admin API."""
        shown = (*FaultOrder.__struct_fields__, "answers_seen", "answers_lost", "refused_by_rate", "sent_as_garbage")
        return {name: getattr(self, name) for name in shown}

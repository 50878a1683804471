"""Plans a short probe of one direction: paced packets that measure delay and loss, then a flood that fills the queue.

The flood starts well above the rate, so that even a queue of seconds is full within 0.1 s. It goes on at 1.5 times the
rate until the link has been saturated for long enough. Sizes count whole IP packets.
"""

from __future__ import annotations

from dataclasses import dataclass

from network_profiles.model.shape import Shape

LARGEST_BYTES = 1400
_PACED_BYTES = 44
_PACED_INTERVAL_S = 0.005
_PACED_UTILISATION = 0.5
_LEAST_PACED_S = 0.8
_MOST_PACED_S = 30.0
_FLOOD_STEPS = 80
_MOST_PACKETS_PER_S = 8000.0
_SUSTAIN_FACTOR = 1.5
_SATURATED_S = 0.5
_SETTLE_S = 0.1


@dataclass(frozen=True, slots=True)
class PlannedSend:
    """One planned packet."""

    at_s: float
    """Seconds after the probe's start."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """One direction: the first ``paced`` sends are paced, the rest is the flood."""

    sends: tuple[PlannedSend, ...]
    paced: int
    ends_at_s: float
    """Seconds after the probe's start; by then every packet has arrived and the queue is empty."""


def short_plan(direction: Shape, budget_s: float) -> ProbePlan:
    """Returns a probe of about ``budget_s``, longer when the link's queue and delay need it."""
    rate_kbit = direction.rate_kbit
    pushes = flood(rate_kbit, direction.queue_ms / 1000.0, _SATURATED_S) if rate_kbit else []
    tail_s = settled_after_s(direction, pushes[-1].size_bytes if pushes else 0)
    flood_s = pushes[-1].at_s if pushes else 0.0
    paced_s = min(_MOST_PACED_S, max(_LEAST_PACED_S, budget_s - flood_s - tail_s))
    paced = _paced(rate_kbit, paced_s)
    sends = (*paced, *(PlannedSend(paced_s + send.at_s, send.size_bytes) for send in pushes))
    return ProbePlan(sends, len(paced), paced_s + flood_s + tail_s)


def settled_after_s(direction: Shape, last_bytes: int) -> float:
    """Returns how long after the last packet, of ``last_bytes``, every packet has arrived and the queue is empty."""
    settled_s = (direction.owd_ms + 3 * direction.jitter_ms) / 1000.0 + _SETTLE_S
    if direction.rate_kbit and last_bytes:
        settled_s += direction.queue_ms / 1000.0 + last_bytes * 8 / (direction.rate_kbit * 1000.0)
    return settled_s


def _paced(rate_kbit: float | None, lasts_s: float) -> list[PlannedSend]:
    on_wire_s = _PACED_BYTES * 8 / (rate_kbit * 1000.0) if rate_kbit else 0.0
    interval_s = max(_PACED_INTERVAL_S, on_wire_s / _PACED_UTILISATION)
    return [PlannedSend(step * interval_s, _PACED_BYTES) for step in range(int(lasts_s / interval_s))]


def flood(rate_kbit: float, queue_s: float, saturated_s: float) -> list[PlannedSend]:
    """Returns packets that fill a queue of ``queue_s`` and keep the link saturated for at least ``saturated_s``."""
    rate_bytes_s = rate_kbit * 1000.0 / 8
    size = int(min(LARGEST_BYTES, max(100.0, rate_bytes_s * queue_s / _FLOOD_STEPS)))
    factor = min(20.0, max(1.8, _MOST_PACKETS_PER_S * size / rate_bytes_s))
    fill_s = 1.3 * queue_s / (factor - 1.0) + 3 * size / rate_bytes_s
    end_s = fill_s + max(0.0, saturated_s - queue_s)
    sends: list[PlannedSend] = []
    at_s = 0.0
    while at_s <= end_s:
        sends.append(PlannedSend(at_s, size))
        at_s += size / rate_bytes_s / (factor if at_s < fill_s else _SUSTAIN_FACTOR)
    return sends

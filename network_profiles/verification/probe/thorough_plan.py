"""Plans a thorough probe of one direction: as many packets as its randomness needs, within a budget.

- Burst length: bursts are geometric, so their mean B is known to half of itself (at four standard deviations) after
  ``k`` bursts with ``4 * sqrt((B - 1) / B) / sqrt(k) = 0.5``. A burst begins at a packet with probability ``L / B``.
- Rate: a slope (least squares) over ``n`` arrivals in ``T`` seconds, each off by the jitter ``s``, has a relative
  standard deviation of ``s * sqrt(12 / n) / T``.
- Median delay: with ``n`` independent delays of deviation ``d`` it is off by ``1.25 * d / sqrt(n)``. Keeping order
  leaves about half of the jitter as ``d``. It also makes delays alike that are less than 0.7 of the jitter apart. Both
  numbers come from runs of the link model.
"""

from __future__ import annotations

import math

from network_profiles.model.shape import Shape
from network_profiles.verification.probe.probe_plan import PlannedSend, ProbePlan, flood, settled_after_s
from network_profiles.verification.probe.tolerances import THOROUGH_SIGMAS, thorough_owd_tolerance_ms

PACED_BYTES = 36
"""The smallest size that carries a packet number, so that most packets fit into a slow link's second."""
PACED_UTILISATION = 0.85
PACED_INTERVAL_S = 0.002
FEWEST_PACED = 300
WANTED_PACED = 1500
_BURST_PRECISION_RATIO = 0.5
_FEWEST_BURSTS = 6
_RATE_PRECISION_RATIO = 0.015
_LEAST_SATURATED_S = 0.6
_MOST_SATURATED_S = 12.0


def thorough_plan(direction: Shape, budget_s: float) -> ProbePlan:
    """Returns a probe of at most about ``budget_s``, shorter where that is enough."""
    rate_kbit = direction.rate_kbit
    pushes = flood(rate_kbit, direction.queue_ms / 1000.0, _saturation_duration_s(direction)) if rate_kbit else []
    flood_s = pushes[-1].at_s if pushes else 0.0
    tail_s = settled_after_s(direction, pushes[-1].size_bytes if pushes else 0)
    interval_s = paced_interval_s(rate_kbit)
    most = int((budget_s - flood_s - tail_s) / interval_s)
    wanted = max(required_packets(direction), math.ceil(_median_duration_s(direction) / interval_s))
    count = max(FEWEST_PACED, min(most, wanted))
    # A pause between the two: a packet that is late by jitter must not look like one that queued.
    rest_s = (direction.owd_ms + 3 * direction.jitter_ms) / 1000.0
    starts_s = count * interval_s + rest_s
    sends = (
        *(PlannedSend(step * interval_s, PACED_BYTES) for step in range(count)),
        *(PlannedSend(starts_s + send.at_s, send.size_bytes) for send in pushes),
    )
    return ProbePlan(sends, count, starts_s + flood_s + tail_s)


def paced_interval_s(rate_kbit: float | None) -> float:
    """Returns the interval of paced packets: they stay below the rate, so that nothing queues."""
    on_wire_s = PACED_BYTES * 8 / (rate_kbit * 1000.0) if rate_kbit else 0.0
    return max(PACED_INTERVAL_S, on_wire_s / PACED_UTILISATION)


def required_packets(direction: Shape) -> int:
    """Returns how many packets are needed for loss ratio and mean burst length."""
    if not 0.0 < direction.loss_ratio < 1.0:
        return WANTED_PACED
    burst = direction.loss_burst_packets
    bursts = max(_FEWEST_BURSTS, (THOROUGH_SIGMAS / _BURST_PRECISION_RATIO) ** 2 * (burst - 1.0) / burst)
    return max(WANTED_PACED, math.ceil(bursts * burst / direction.loss_ratio))


def _median_duration_s(direction: Shape) -> float:
    """Returns the duration of paced packets after which chance moves the median delay by less than its tolerance."""
    tolerance_ms = thorough_owd_tolerance_ms(direction.owd_ms)
    independent = (THOROUGH_SIGMAS * 1.25 * direction.jitter_ms / 2.0 / tolerance_ms) ** 2
    return independent * 0.7 * direction.jitter_ms / 1000.0


def _saturation_duration_s(direction: Shape) -> float:
    """Returns the duration of saturation after which the rate is known well enough in spite of jitter."""
    if not direction.rate_kbit:
        return 0.0
    packets_s = direction.rate_kbit * 1000.0 / 8 / 400
    jitter_s = direction.jitter_ms / 1000.0
    needed_s = math.pow(THOROUGH_SIGMAS * jitter_s * math.sqrt(12.0 / packets_s) / _RATE_PRECISION_RATIO, 2 / 3)
    return min(_MOST_SATURATED_S, max(_LEAST_SATURATED_S, needed_s))

"""The tolerances within which a link must match its profile."""

from __future__ import annotations

GOODPUT_TOLERANCE_RATIO = 0.03
OWD_TOLERANCE_MS = 2.0
"""Of the short probe. Of this and ``OWD_TOLERANCE_RATIO`` the larger counts; the same holds for the pairs below."""
THOROUGH_OWD_TOLERANCE_MS = 1.0
OWD_TOLERANCE_RATIO = 0.02
P95_TOLERANCE_MS = 2.0
P95_TOLERANCE_RATIO = 0.02
JITTER_TOLERANCE_MS = 0.5
JITTER_TOLERANCE_RATIO = 0.10
BURST_TOLERANCE_RATIO = 0.25
QUEUE_TOLERANCE_MS = 2.0
QUEUE_TOLERANCE_RATIO = 0.10
LOSS_CONFIDENCE = 0.99
LATE_P99_LIMIT_MS = 10.0
EDGE_TOLERANCE_S = 0.05
"""For the start and end of an outage or of a trace's gap."""
CURVE_TOLERANCE_RATIO = 0.03
"""For the bytes that have arrived by each time of a trace, as a share of all of them."""
THOROUGH_SIGMAS = 4.0
"""Standard deviations of chance that a thorough probe allows where they exceed the tolerance."""


def thorough_owd_tolerance_ms(owd_ms: float) -> float:
    """Returns the tolerance of a thorough probe on a median one-way delay."""
    return max(THOROUGH_OWD_TOLERANCE_MS, OWD_TOLERANCE_RATIO * owd_ms)

"""Draws one packet's delay variation: a Gaussian, clipped at two standard deviations as in RFC 8867, section 4.

Clipping leaves 96 % of the standard deviation asked for. The link keeps the packets in order, not this module: a radio
link layer delivers in order, so a packet with a short delay waits for the one before it.
"""

from __future__ import annotations

import random
from typing import Final

CLIP_AT_SIGMAS: Final = 2.0


def jitter_s(jitter_ms: float, rng: random.Random) -> float:
    """Returns one packet's deviation from the one-way delay, in seconds, positive or negative."""
    return max(-CLIP_AT_SIGMAS, min(CLIP_AT_SIGMAS, rng.gauss(0.0, 1.0))) * jitter_ms / 1000.0

"""An audio call that lasts.

The device calls, the far end answers, both hear each other within the set-up limit, audio flows both ways for the
asked time with no silence longer than the gap limit, and the device hangs up cleanly.

Blame: the service's own answers and what they lead to are the target's; a silence is the network's where the link
dropped the packets, the device's where the device did not send them, the target's otherwise (execution.judge_media).
"""

from __future__ import annotations

from device_matrix.scenarios.call_flow import (
    CallContext,
    await_audio_both_ways,
    await_connected,
    hang_up,
    place_call,
    sustain,
)
from device_matrix.scenarios.expectation import ScenarioLimits

SETUP_LIMIT_S = 10.0
SETUP_LIMIT_2G_S = 20.0
"""Over 650 ms and more of round trip, signaling, ICE and two DTLS flights alone take four seconds."""
GAP_LIMIT_MS = 2000.0
EFFECTIVE_LOSS_LIMIT = 0.10
EFFECTIVE_LOSS_LIMIT_2G = 0.20


def limits(generation: str, sustain_s: float) -> ScenarioLimits:
    """Returns what the scenario puts up with on a network of ``generation``."""
    is_2g = generation == "2g"
    return ScenarioLimits(
        setup_s=SETUP_LIMIT_2G_S if is_2g else SETUP_LIMIT_S,
        gap_ms=GAP_LIMIT_MS,
        effective_loss_ratio=EFFECTIVE_LOSS_LIMIT_2G if is_2g else EFFECTIVE_LOSS_LIMIT,
        sustain_s=sustain_s,
    )


def run(context: CallContext) -> None:
    """Runs the call. Raises ProductFailure at the first thing that is not as it should be."""
    place_call(context, "audio")
    await_connected(context)
    await_audio_both_ways(context)
    sustain(context)
    hang_up(context)

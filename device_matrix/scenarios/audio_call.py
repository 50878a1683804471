"""An audio call that lasts.

The device calls and the far end answers. Both hear each other within the set-up limit. Audio flows both ways for the
planned time, with no silence longer than the gap limit. The device hangs up cleanly.

Blame: the target, for the service's own answers and their effects. A silence is blamed on the network where the link
dropped packets, on the device where the device did not send, else on the target (``attempt/assertions.judge_media``).
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
"""With round trips of 650 ms and more, signaling, ICE and two DTLS flights alone take four seconds."""
GAP_LIMIT_MS = 2000.0
EFFECTIVE_LOSS_LIMIT = 0.10
EFFECTIVE_LOSS_LIMIT_2G = 0.20


def limits(generation: str) -> ScenarioLimits:
    """Returns the limits on a network of ``generation``."""
    is_2g = generation == "2g"
    return ScenarioLimits(
        setup_s=SETUP_LIMIT_2G_S if is_2g else SETUP_LIMIT_S,
        gap_ms=GAP_LIMIT_MS,
        effective_loss_ratio=EFFECTIVE_LOSS_LIMIT_2G if is_2g else EFFECTIVE_LOSS_LIMIT,
    )


def run(context: CallContext) -> None:
    """Runs the call. Raises ProductFailure at the first step that fails."""
    place_call(context, "audio")
    await_connected(context)
    await_audio_both_ways(context)
    sustain(context)
    hang_up(context)

"""A video call over a network that cannot carry it: it has to become an audio call by itself, and then work.

The device calls with video; within FALLBACK_LIMIT_S of the button both ends are in audio only (the app says so on its
screen, and the far end no longer wants or sends video); then everything that audio_call asks, with the limits of a
poor network.
"""

from __future__ import annotations

from device_matrix.scenarios.audio_call import EFFECTIVE_LOSS_LIMIT_2G, GAP_LIMIT_MS, SETUP_LIMIT_2G_S
from device_matrix.scenarios.call_flow import (
    POLL_S,
    CallContext,
    await_audio_both_ways,
    await_connected,
    hang_up,
    place_call,
    sustain,
)
from device_matrix.scenarios.expectation import ProductFailure, ScenarioLimits

FALLBACK_LIMIT_S = 15.0
FALLEN_BACK = ["audio", "low-audio"]


def limits(_generation: str, sustain_s: float) -> ScenarioLimits:
    """Returns what the scenario puts up with, the same on every network that it is run over."""
    return ScenarioLimits(
        setup_s=SETUP_LIMIT_2G_S,
        gap_ms=GAP_LIMIT_MS,
        effective_loss_ratio=EFFECTIVE_LOSS_LIMIT_2G,
        sustain_s=sustain_s,
        fallback_s=FALLBACK_LIMIT_S,
    )


def run(context: CallContext) -> None:
    """Runs the call. Raises ProductFailure at the first thing that is not as it should be."""
    place_call(context, "video")
    await_connected(context)
    await_fallback(context)
    await_audio_both_ways(context)
    sustain(context)
    hang_up(context)


def await_fallback(context: CallContext) -> None:
    """Waits until both ends are in audio only."""
    context.steps.begin("fall_back")
    limit_s = context.limits.fallback_s or FALLBACK_LIMIT_S
    shown = context.page.wait_call(
        {"media": ["audio"], "fallback": FALLEN_BACK}, {"state": ["ended"]}, timeout_s=context.left_s(limit_s)
    )
    if shown is None:
        raise ProductFailure("no_fallback", f"the app still showed video {limit_s:.0f} s after the call was placed")
    if shown.state == "ended":
        raise ProductFailure("ended_early", f"the call ended instead of falling back: {shown.end_reason or 'unknown'}")
    while True:
        state = context.far_end.state()
        if state is not None and state.media == "audio" and state.peer_media != "video":
            break
        if context.since_placed_s() > limit_s:
            raise ProductFailure("no_fallback_far_end", f"the far end still was in video after {limit_s:.0f} s")
        if context.page.wait_call({"state": ["ended"]}, timeout_s=POLL_S) is not None:
            raise ProductFailure("ended_early", "the call ended while the far end fell back")
    context.fallback_ms = context.since_placed_s() * 1000

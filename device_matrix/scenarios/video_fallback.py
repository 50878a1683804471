"""A video call over a network that cannot carry video: it must become an audio call by itself.

The device calls with video. Within FALLBACK_LIMIT_S of the button both ends use audio only: the app's screen says so,
and the far end neither wants nor sends video. Then the call must do what audio_call asks, with a 2G network's limits.
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
AUDIO_ONLY_STATES = ["audio", "low-audio"]


def limits(_generation: str) -> ScenarioLimits:
    """Returns the limits, which are the same on every network."""
    return ScenarioLimits(setup_s=SETUP_LIMIT_2G_S, gap_ms=GAP_LIMIT_MS, effective_loss_ratio=EFFECTIVE_LOSS_LIMIT_2G)


def run(context: CallContext) -> None:
    """Runs the call. Raises ProductFailure at the first step that fails."""
    place_call(context, "video")
    await_connected(context)
    await_fallback(context)
    await_audio_both_ways(context)
    sustain(context)
    hang_up(context)


def await_fallback(context: CallContext) -> None:
    """Waits until both ends use audio only."""
    context.steps.begin("fall_back")
    limit_s = FALLBACK_LIMIT_S
    shown = context.page.wait_call(
        {"media": ["audio"], "fallback": AUDIO_ONLY_STATES}, {"state": ["ended"]}, timeout_s=context.left_s(limit_s)
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
            sentence = f"the far end still used video {limit_s:.0f} s after the call was placed"
            raise ProductFailure("no_fallback_far_end", sentence)
        if context.page.wait_call({"state": ["ended"]}, timeout_s=POLL_S) is not None:
            raise ProductFailure("ended_early", "the call ended while the far end was falling back to audio")
    context.fallback_ms = context.since_placed_s() * 1000

"""The steps of a scenario. Each waits for one event; its failure names the event that did not come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bedrock.clock import Clock
from calls.records.record import Blame
from device_matrix.drivers.protocol import PageTimeout
from device_matrix.pages.app_page import AppPage, CallScreen
from device_matrix.peer.far_end import FarEndState
from device_matrix.scenarios.expectation import ProductFailure, ScenarioLimits

CLICK_TIMEOUT_S = 10.0
POLL_S = 0.25


class AnsweringPeer(Protocol):
    """The far end of the call, as a scenario sees it."""

    name: str

    def state(self) -> FarEndState | None:
        """Returns its view of its current call; None when it has none. Raises FarEndLost."""


class StepRecorder(Protocol):
    """Logs the steps of the attempt."""

    def begin(self, name: str) -> None:
        """Starts a step and ends the one before."""


class CallHook(Protocol):
    """The hook in the page, as a scenario uses it."""

    def heard(self) -> bool:
        """Returns True once the page has played audio of the far end."""

    def take_snapshot(self) -> None:
        """Takes a screenshot and one more sample of the statistics."""


@dataclass(slots=True)
class CallContext:
    """One call of one cell: its parts, its limits, and its progress."""

    page: AppPage
    hook: CallHook
    far_end: AnsweringPeer
    clock: Clock
    steps: StepRecorder
    limits: ScenarioLimits
    sustain_s: float
    """How long audio has to flow both ways before the device hangs up."""
    media: str = "audio"
    placed_at_s: float | None = None
    call_id: str = ""
    intended_end_at_s: float | None = None
    """When the device pressed the hang-up button."""
    hung_up_cleanly: bool = False
    fallback_ms: float | None = None
    """From the press of the call button to audio only at both ends."""

    def since_placed_s(self) -> float:
        return self.clock.unix_s() - (self.placed_at_s or self.clock.unix_s())

    def left_s(self, limit_s: float) -> float:
        """Returns how much of ``limit_s`` since the press of the button is left, at least one poll."""
        return max(POLL_S, limit_s - self.since_placed_s())


def place_call(context: CallContext, media: str) -> None:
    """Opens the far end's thread and presses the call button."""
    context.media = media
    context.steps.begin("open_thread")
    try:
        context.page.open_contact(context.far_end.name, CLICK_TIMEOUT_S)
        context.steps.begin("place_call")
        # The user wants the call from here on: whatever the app does after the press counts.
        context.placed_at_s = context.clock.unix_s()
        context.page.place_call(media, CLICK_TIMEOUT_S)
    except PageTimeout as error:
        raise ProductFailure("no_call_button", f"the call could not be placed: {error}") from error


def await_connected(context: CallContext) -> CallScreen:
    """Waits until the app shows the call as running."""
    context.steps.begin("connect")
    limit_s = context.limits.setup_s
    shown = context.page.wait_call({"state": ["in-call"]}, {"state": ["ended"]}, timeout_s=context.left_s(limit_s))
    if shown is not None:
        context.call_id = shown.call_id or context.call_id
    if shown is None:
        raise ProductFailure(
            "setup_timeout", f"the app did not show the call as running within {limit_s:.0f} s of the call button"
        )
    if shown.state == "ended":
        reason = shown.end_reason or "unknown"
        raise ProductFailure(f"ended_{reason}", f"the call ended before it was set up: {reason}")
    return shown


def await_audio_both_ways(context: CallContext) -> None:
    """Waits until each end has heard the other."""
    context.steps.begin("audio_both_ways")
    limit_s = context.limits.setup_s
    while True:
        here = context.hook.heard()
        state = context.far_end.state()
        there = state is not None and state.audio_packets_in > 0
        if here and there:
            return
        if context.since_placed_s() > limit_s:
            silent = " and ".join([*(["the device"] if not here else []), *(["the far end"] if not there else [])])
            raise ProductFailure("no_audio", f"{silent} heard no audio within {limit_s:.0f} s of the call button")
        ended = context.page.wait_call({"state": ["ended"]}, timeout_s=POLL_S)
        if ended is not None:
            raise ProductFailure("ended_early", f"the call ended before audio flowed: {ended.end_reason or 'unknown'}")


def sustain(context: CallContext) -> None:
    """Lets the call run for the planned time. Checks that it still runs at both ends."""
    context.steps.begin("sustain")
    ended = context.page.wait_call({"state": ["ended"]}, timeout_s=context.sustain_s)
    if ended is not None:
        raise ProductFailure("ended_early", f"the call ended by itself: {ended.end_reason or 'no reason given'}")
    state = context.far_end.state()
    if state is None:
        raise ProductFailure("ended_early", "the far end had no call any more before the device hung up")
    context.hook.take_snapshot()


def hang_up(context: CallContext) -> None:
    """Presses the button and waits for the service's confirmation."""
    context.steps.begin("hang_up")
    context.intended_end_at_s = context.clock.unix_s()
    limit_s = context.limits.hang_up_s
    try:
        context.page.hang_up(CLICK_TIMEOUT_S)
    except PageTimeout as error:
        raise ProductFailure("no_hang_up_button", f"the call could not be ended: {error}") from error
    ended = context.page.wait_call({"state": ["ended"]}, timeout_s=limit_s)
    if ended is None:
        raise ProductFailure(
            "hang_up_unconfirmed", f"the app did not show the call's end within {limit_s:.0f} s of the hang-up button"
        )
    if ended.end_reason != "hangup":
        raise ProductFailure(
            "unclean_end",
            f"after the hang-up the app showed the end reason '{ended.end_reason}', not 'hangup'",
            Blame.TARGET,
        )
    context.hung_up_cleanly = True

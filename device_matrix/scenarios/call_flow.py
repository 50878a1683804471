"""The steps that scenarios are made of. Each waits for an event and says in its failure what did not come."""

from __future__ import annotations

from dataclasses import dataclass, field
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
        """Returns what it sees of its current call, None when it has none. Raises FarEndLost."""


class StepRecorder(Protocol):
    """Notes what is done when, for the cell's own log."""

    def begin(self, name: str) -> None:
        """A step begins; the one before has ended."""


class CallHook(Protocol):
    """What the hook in the page can be asked while the call runs."""

    def heard(self) -> bool:
        """True once the page has played audio of the far end."""

    def take_snapshot(self) -> None:
        """Takes a picture of the call, and one more sample of the statistics before it ends."""


@dataclass(slots=True)
class CallContext:
    """One call of one cell: who takes part, and what became of it so far."""

    page: AppPage
    hook: CallHook
    far_end: AnsweringPeer
    clock: Clock
    steps: StepRecorder
    limits: ScenarioLimits
    media: str = "audio"
    placed_at_s: float | None = None
    call_id: str = ""
    intended_end_at_s: float | None = None
    """When the device pressed the hang-up button."""
    hung_up_cleanly: bool = False
    fallback_ms: float | None = None
    """From the press of the button to audio only at both ends."""
    notes: dict[str, float | str | None] = field(default_factory=dict)

    def since_placed_s(self) -> float:
        return self.clock.unix_s() - (self.placed_at_s or self.clock.unix_s())

    def left_s(self, limit_s: float) -> float:
        """How much of ``limit_s`` since the press of the button is left, never less than a poll."""
        return max(POLL_S, limit_s - self.since_placed_s())


def place_call(context: CallContext, media: str) -> None:
    """Opens the far end's thread and presses the call button."""
    context.media = media
    context.steps.begin("open_thread")
    try:
        context.page.open_contact(context.far_end.name, CLICK_TIMEOUT_S)
        context.steps.begin("place_call")
        # The moment the person wants the call: what the app does after the press is the app's time.
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
            "setup_timeout", f"the app was not in the call {limit_s:.0f} s after the button was pressed"
        )
    if shown.state == "ended":
        reason = shown.end_reason or "unknown"
        raise ProductFailure(f"ended_{reason}", f"the call ended before it was set up: {reason}")
    return shown


def await_audio_both_ways(context: CallContext) -> None:
    """Waits until both ends have heard the other."""
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
            raise ProductFailure("no_audio", f"{silent} heard nothing within {limit_s:.0f} s of the call's start")
        ended = context.page.wait_call({"state": ["ended"]}, timeout_s=POLL_S)
        if ended is not None:
            raise ProductFailure("ended_early", f"the call ended before audio flowed: {ended.end_reason or 'unknown'}")


def sustain(context: CallContext) -> None:
    """Lets the call run for the asked time, watching that it is still there at both ends."""
    context.steps.begin("sustain")
    ended = context.page.wait_call({"state": ["ended"]}, timeout_s=context.limits.sustain_s)
    if ended is not None:
        raise ProductFailure("ended_early", f"the call ended by itself: {ended.end_reason or 'no reason given'}")
    state = context.far_end.state()
    if state is None:
        raise ProductFailure("ended_early", "the far end's call was gone before the device hung up")
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
        raise ProductFailure("hang_up_unconfirmed", f"the app did not show the end {limit_s:.0f} s after the hang-up")
    if ended.end_reason != "hangup":
        raise ProductFailure("unclean_end", f"the hang-up ended the call as '{ended.end_reason}'", Blame.TARGET)
    context.hung_up_cleanly = True

"""Judges the media of a call that completed its steps, and finds who is to blame for a silence."""

from __future__ import annotations

from dataclasses import dataclass

from calls.records.record import Blame
from device_matrix.capture.link_drops import LinkDrops
from device_matrix.capture.stats import AudioBothWays
from device_matrix.errors import DeviceUnavailable, LinkUnusable
from device_matrix.hook.samples import PeerConnectionStats
from device_matrix.scenarios.expectation import ProductFailure, ScenarioLimits

STARVED_RATIO = 0.5
"""Above this share of throttled time the device's CPU is too slow for the call."""

TIMING_REASONS = frozenset(
    {
        "open_page_timeout",
        "sign_in_timeout",
        "no_call_button",
        "setup_timeout",
        "setup_too_slow",
        "gap",
        "audio_loss",
        "no_hang_up_button",
    }
)
"""Failures that a slow test machine can cause."""
SATURATED_RATIO = 0.95
"""Above this share of time with a process waiting for a CPU, the test machine is too slow to judge timing."""
LINK_LATE_LIMIT_MS = 50.0
"""A link this late adds more delay than the fastest profiles have in all."""


@dataclass(frozen=True, slots=True)
class MediaEvidence:
    """Everything known of a call's media once the call has ended."""

    audio: AudioBothWays
    setup_ms: float | None
    effective_loss_ratio: float | None
    link_drops: int
    """Packets that the link dropped during the call, for whatever cause."""
    throttled_ratio: float
    """Share of the call in which the device's CPU quota was spent."""


def require_media_over_link(
    connection: PeerConnectionStats | None, *, device_address: str, host_address: str, proven: bool
) -> None:
    """Checks that media took the shaped link only. Raises LinkUnusable otherwise.

    With ``proven`` the browser must have reported its candidate pair; a call that was never set up may have none.
    """
    pairs = [
        sample.pair for sample in (connection.samples if connection is not None else ()) if sample.pair is not None
    ]
    for pair in pairs:
        if pair.local.address != device_address or pair.remote.address != host_address:
            way = f"{pair.local.address} -> {pair.remote.address}"
            sentence = f"media went {way} and not over the link {device_address} -> {host_address}"
            raise LinkUnusable(sentence, reason="link_bypassed")
    if proven and not pairs:
        sentence = "the browser reported no candidate pair, so nothing proves that media took the link"
        raise LinkUnusable(sentence, reason="link_unproven")


def require_link_model_kept(drops: LinkDrops) -> None:
    """Checks that the link followed its model during the call. Raises LinkUnusable otherwise."""
    if drops.harness:
        raise LinkUnusable(f"the harness lost {drops.harness} packets on the link (0 allowed)", reason="link_overrun")
    if drops.late_p99_ms > LINK_LATE_LIMIT_MS:
        detail = f"packets left the link late: p99 {drops.late_p99_ms:.0f} ms (allowed {LINK_LATE_LIMIT_MS:.0f})"
        raise LinkUnusable(detail, reason="link_late")


def require_cpu_available(failure: ProductFailure, pressure_ratio: float | None) -> None:
    """Checks that a timing failure was found on a machine with enough CPU. Raises DeviceUnavailable otherwise."""
    saturated = pressure_ratio is not None and pressure_ratio > SATURATED_RATIO
    if saturated and failure.reason in TIMING_REASONS:
        detail = (
            f"the test machine was short of CPU for {pressure_ratio:.0%} of the call (allowed {SATURATED_RATIO:.0%}), "
            "so the call's timing can't be judged"
        )
        hint = "run fewer workers, or a lighter load beside them"
        raise DeviceUnavailable(detail, reason="machine_saturated", hint=hint)


def judge_media(evidence: MediaEvidence, limits: ScenarioLimits) -> None:
    """Raises ProductFailure at the first figure beyond its limit."""
    if evidence.setup_ms is None:
        raise ProductFailure("no_audio", "audio was never heard at both ends")
    if evidence.setup_ms > limits.setup_s * 1000:
        detail = f"set-up to audio at both ends took {evidence.setup_ms / 1000:.1f} s (allowed {limits.setup_s:.0f})"
        raise ProductFailure("setup_too_slow", detail, _blame_slowness(evidence))
    _judge_gaps(evidence, limits)
    loss_ratio = evidence.effective_loss_ratio
    if loss_ratio is not None and loss_ratio > limits.effective_loss_ratio:
        detail = f"the device had to conceal {loss_ratio:.1%} of the audio (allowed {limits.effective_loss_ratio:.0%})"
        raise ProductFailure("audio_loss", detail, Blame.NETWORK if evidence.link_drops else _blame_slowness(evidence))


def _judge_gaps(evidence: MediaEvidence, limits: ScenarioLimits) -> None:
    heard, sent = evidence.audio.heard, evidence.audio.sent
    if heard is None or sent is None:
        silent = "the device" if heard is None else "the far end"
        raise ProductFailure("no_audio", f"no audio packet reached {silent}")
    allowed = f"(allowed {limits.gap_ms / 1000:.1f})"
    own_gap_ms = evidence.audio.device_send_gap_ms or 0.0
    if own_gap_ms > limits.gap_ms:
        sent_nothing = f"the device sent no audio for {own_gap_ms / 1000:.1f} s {allowed}"
        if evidence.throttled_ratio > STARVED_RATIO:
            sentence = f"{sent_nothing}: its CPU quota was spent in {evidence.throttled_ratio:.0%} of the call"
            raise ProductFailure("gap", sentence, Blame.DEVICE)
        sentence = f"{sent_nothing} although its CPU quota was not spent: the test machine held it up"
        raise DeviceUnavailable(sentence, reason="device_stalled")
    blame = Blame.NETWORK if evidence.link_drops else Blame.TARGET
    if heard.max_gap_ms > limits.gap_ms:
        raise ProductFailure("gap", f"the device heard no audio for {heard.max_gap_ms / 1000:.1f} s {allowed}", blame)
    # As captured at the link's host end, up to the press of the hang-up button. The far end's own record goes on until
    # it hears of the hang-up, which may take seconds over 2G.
    if sent.max_gap_ms > limits.gap_ms:
        raise ProductFailure("gap", f"the far end heard no audio for {sent.max_gap_ms / 1000:.1f} s {allowed}", blame)


def _blame_slowness(evidence: MediaEvidence) -> Blame:
    return Blame.DEVICE if evidence.throttled_ratio > STARVED_RATIO else Blame.TARGET

"""Judges the media of a call that went through its steps, and finds whom a silence is to be blamed on."""

from __future__ import annotations

from dataclasses import dataclass

from calls.records.record import Blame
from device_matrix.capture.link_drops import LinkDrops
from device_matrix.capture.stats import AudioBothWays
from device_matrix.errors import DeviceUnavailable, LinkUnusable
from device_matrix.hook.samples import PeerConnectionStats
from device_matrix.scenarios.expectation import ProductFailure, ScenarioLimits

STARVED_RATIO = 0.5
"""A browser whose group stood still for half of the call, its quota spent, is a device at its end."""

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
SATURATED_RATIO = 0.95
"""Above this share of waiting the machine itself is too slow for anything to be said of how fast the product is."""
LINK_LATE_LIMIT_MS = 50.0
"""A link this late adds more delay than the profiles with the shortest one have."""


@dataclass(frozen=True, slots=True)
class MediaEvidence:
    """Everything that is known of a call's media once it has ended."""

    audio: AudioBothWays
    setup_ms: float | None
    effective_loss_ratio: float | None
    link_drops: int
    """Packets that the link dropped in the call, for whatever cause."""
    throttled_ratio: float
    """Share of the call in which the device's CPU quota was spent."""


def require_media_over_link(
    connection: PeerConnectionStats | None, *, device_address: str, host_address: str, proven: bool
) -> None:
    """Checks that media took the shaped link and no other way. Raises LinkOff when it did not.

    With ``proven`` the browser must have named the way: a call that never had one cannot be asked for that.
    """
    pairs = [
        sample.pair for sample in (connection.samples if connection is not None else ()) if sample.pair is not None
    ]
    for pair in pairs:
        if pair.local.address != device_address or pair.remote.address != host_address:
            way = f"{pair.local.address} -> {pair.remote.address}"
            raise LinkUnusable(
                f"media took {way}, not the link {device_address} -> {host_address}", reason="link_bypassed"
            )
    if proven and not pairs:
        raise LinkUnusable("the browser never named the pair of addresses that media took", reason="link_unproven")


def require_link_model_kept(drops: LinkDrops) -> None:
    """Checks that the link did during the call what it was measured to do before. Raises LinkOff when it did not."""
    if drops.harness:
        raise LinkUnusable(f"{drops.harness} packets were lost beside the link's model", reason="link_overrun")
    if drops.late_p99_ms > LINK_LATE_LIMIT_MS:
        detail = (
            f"packets left the link {drops.late_p99_ms:.0f} ms late (99th percentile), {LINK_LATE_LIMIT_MS:.0f} allowed"
        )
        raise LinkUnusable(detail, reason="link_late")


def require_cpu_available(failure: ProductFailure, pressure_ratio: float | None) -> None:
    """Checks that a failure to be in time was found on a machine that had time. Raises DeviceUnavailable otherwise."""
    saturated = pressure_ratio is not None and pressure_ratio > SATURATED_RATIO
    if saturated and failure.reason in TIMING_REASONS:
        detail = f"this machine's CPUs were short for {pressure_ratio:.0%} of the call"
        raise DeviceUnavailable(detail, reason="machine_saturated", hint="fewer workers, or a lighter load beside them")


def judge_media(evidence: MediaEvidence, limits: ScenarioLimits) -> None:
    """Raises ProductFailure at the first figure beyond its limit."""
    if evidence.setup_ms is None:
        raise ProductFailure("no_audio", "audio was never heard at both ends")
    if evidence.setup_ms > limits.setup_s * 1000:
        detail = f"audio at both ends took {evidence.setup_ms / 1000:.1f} s, {limits.setup_s:.0f} s are allowed"
        raise ProductFailure("setup_too_slow", detail, _blame_slowness(evidence))
    _judge_gaps(evidence, limits)
    loss_ratio = evidence.effective_loss_ratio
    if loss_ratio is not None and loss_ratio > limits.effective_loss_ratio:
        detail = f"{loss_ratio:.1%} of the audio had to be made up, {limits.effective_loss_ratio:.0%} are allowed"
        raise ProductFailure("audio_loss", detail, Blame.NETWORK if evidence.link_drops else _blame_slowness(evidence))


def _judge_gaps(evidence: MediaEvidence, limits: ScenarioLimits) -> None:
    heard, sent = evidence.audio.heard, evidence.audio.sent
    if heard is None or sent is None:
        silent = "the device" if heard is None else "the far end"
        raise ProductFailure("no_audio", f"no audio packet reached {silent}")
    own_gap_ms = evidence.audio.device_send_gap_ms or 0.0
    if own_gap_ms > limits.gap_ms:
        stood_still = f"the device itself sent nothing for {own_gap_ms / 1000:.1f} s"
        if evidence.throttled_ratio > STARVED_RATIO:
            raise ProductFailure("gap", f"{stood_still}: its CPU is too slow", Blame.DEVICE)
        raise DeviceUnavailable(f"{stood_still} although its CPU quota had room", reason="device_stalled")
    if heard.max_gap_ms > limits.gap_ms:
        blame = Blame.NETWORK if evidence.link_drops else Blame.TARGET
        raise ProductFailure("gap", f"the device heard nothing for {heard.max_gap_ms / 1000:.1f} s", blame)
    # As captured where the link ends, up to the press of the hang-up button: the far end's own record goes on until the
    # news of that has reached it, which over 2G may take seconds.
    if sent.max_gap_ms > limits.gap_ms:
        blame = Blame.NETWORK if evidence.link_drops else Blame.TARGET
        raise ProductFailure("gap", f"the far end heard nothing for {sent.max_gap_ms / 1000:.1f} s", blame)


def _blame_slowness(evidence: MediaEvidence) -> Blame:
    return Blame.DEVICE if evidence.throttled_ratio > STARVED_RATIO else Blame.TARGET

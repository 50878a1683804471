"""Builds the record of the device's side of a call: a leg of the browser tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from calls.records.record import HUMAN_OUTCOMES, Blame, LegRecord, Outcome, Side, Stage, Tier
from device_matrix.capture.rtp_streams import StreamFigures
from device_matrix.capture.stats import effective_loss_ratio, jitter_buffer_ms, median_rtt_ms, mouth_to_ear_ms, score
from device_matrix.cells import Cell
from device_matrix.hook.samples import InboundStats, OutboundStats, PeerConnectionStats, StatsSample
from device_matrix.pages.app_page import CallScreen

SOURCE = "matrix"
FIRST_PACKET_BEFORE_PLAYOUT_S = 3.0
"""The longest time between a first packet's arrival and its playout: a jitter buffer that starts on a 2G link."""


@dataclass(frozen=True, slots=True)
class BrowserLegFacts:
    """What is known of the device's side once the call is over."""

    run_id: str
    writer: str
    cell: Cell
    generation: str
    attempt: int
    person: str
    peer: str
    media: str
    call_id: str
    placed_at_s: float
    intended_end_at_s: float | None
    ended_at_s: float
    planned_talk_s: float
    hung_up_cleanly: bool
    timeline: Sequence[CallScreen]
    connection: PeerConnectionStats | None
    heard: StreamFigures | None
    sent_packets: int
    link_lost: int
    link_queue_dropped: int
    link_outage_dropped: int
    failure_reason: str
    """The attempt's failure, empty when it passed."""
    failure_blame: Blame
    """Who is to blame for the attempt's failure, nobody when it passed."""

    @property
    def samples(self) -> Sequence[StatsSample]:
        return self.connection.samples if self.connection is not None else ()


_SAME_NAME = frozenset(field.name for field in fields(BrowserLegFacts)).intersection(LegRecord.__struct_fields__)
"""The fields that facts and record have under the same name. ``build_leg`` replaces two of them."""


def first_audio_at_s(connection: PeerConnectionStats | None, heard: StreamFigures | None) -> float | None:
    """Returns when the first audio packet that could be decrypted arrived.

    The page knows only when it played the first packet; the capture knows when each one arrived. A packet that arrived
    before DTLS was done cannot have been heard, so the first heard packet arrived between the two.
    """
    if connection is None or connection.first_audio_at_ms is None:
        return None
    played_at_s = connection.first_audio_at_ms / 1000
    if heard is None:
        return played_at_s
    earliest_s = max(played_at_s - FIRST_PACKET_BEFORE_PLAYOUT_S, (connection.connected_at_ms or 0.0) / 1000)
    return min(played_at_s, max(heard.first_at_s, earliest_s))


def build_leg(facts: BrowserLegFacts) -> LegRecord:
    """Returns the record of the device's side."""
    first_audio_s = first_audio_at_s(facts.connection, facts.heard)
    record: dict[str, Any] = {name: getattr(facts, name) for name in _SAME_NAME}
    record |= {
        "side": Side.CALLER,
        "tier": Tier.BROWSER,
        "source": SOURCE,
        "cell": facts.cell.id,
        "device": facts.cell.device,
        "network": facts.cell.network,
        "scenario": facts.cell.scenario,
    }
    record |= _progress(facts, first_audio_s) | _packets(facts) | _audio_figures(facts) | _mos(facts) | _video(facts)
    return LegRecord(**record)


def _progress(facts: BrowserLegFacts, first_audio_s: float | None) -> dict[str, Any]:
    """Returns how far the call came, and when."""
    connection = facts.connection
    intended_end_s = facts.intended_end_at_s or facts.ended_at_s
    return {
        "outcome": _outcome(facts, first_audio_s),
        "blame": facts.failure_blame,
        "reason": facts.failure_reason,
        "stage": _stage(facts, first_audio_s),
        "intended_at_s": facts.placed_at_s,
        "started_at_s": _shown_at_s(facts.timeline, "calling") or facts.placed_at_s,
        "ringing_at_s": _shown_at_s(facts.timeline, "ringing"),
        "answered_at_s": _shown_at_s(facts.timeline, "connecting") or _shown_at_s(facts.timeline, "in-call"),
        "ice_at_s": _seconds(connection.ice_at_ms) if connection is not None else None,
        "dtls_at_s": _seconds(connection.connected_at_ms) if connection is not None else None,
        "first_audio_at_s": first_audio_s,
        "ended_at_s": _shown_at_s(facts.timeline, "ended") or facts.ended_at_s,
        "talked_s": max(0.0, intended_end_s - first_audio_s) if first_audio_s else 0.0,
    }


def _packets(facts: BrowserLegFacts) -> dict[str, Any]:
    """Returns the counts of packets: as captured where that was possible, else as the browser counts."""
    heard, (_first_in, last_in) = facts.heard, _first_and_last(facts.samples)
    outbound = next((one.audio_out for one in reversed(facts.samples) if one.audio_out is not None), OutboundStats())
    return {
        "packets_sent": max(outbound.packets_sent, facts.sent_packets),
        "packets_received": heard.packets if heard is not None else last_in.packets_received,
        "packets_lost": heard.lost if heard is not None else max(0, last_in.packets_lost),
        "packets_late": last_in.packets_discarded,
    }


def _audio_figures(facts: BrowserLegFacts) -> dict[str, Any]:
    """Returns what the device heard: loss, delay, jitter, gaps, rate."""
    first_in, last_in = _first_and_last(facts.samples)
    figures: dict[str, Any] = {
        "effective_loss_ratio": effective_loss_ratio(first_in, last_in),
        "rtt_ms": median_rtt_ms(facts.samples),
        "audio_kbit": _payload_kbit(facts.samples),
    }
    heard = facts.heard
    if heard is not None:
        figures |= {name: getattr(heard, name) for name in _STREAM_FIELDS}
        figures["owd_clock"] = "same_clock" if heard.owd_p50_ms is not None else ""
        figures["mouth_to_ear_ms"] = mouth_to_ear_ms(heard, jitter_buffer_ms(first_in, last_in))
    return figures


_STREAM_FIELDS = ("jitter_ms", "owd_p50_ms", "owd_p95_ms", "max_gap_ms", "ptime_ms")
"""The record's fields that come from the stream that was heard."""


def _mos(facts: BrowserLegFacts) -> dict[str, Any]:
    quality = score(facts.samples, facts.heard)
    if quality is None:
        return {}
    return {
        "mos_lq": quality.mos_lq,
        "mos_lq_worst": quality.mos_lq_worst,
        "mos_cq": quality.mos_cq,
        "mos_model": quality.model,
        "mos_grounded": quality.grounded,
        "mos_basis": quality.basis,
    }


def _video(facts: BrowserLegFacts) -> dict[str, Any]:
    sent, received = [one.video_out for one in facts.samples], [one.video_in for one in facts.samples]
    fallback = next((shown for shown in facts.timeline if shown.fallback not in {"", "none"}), None)
    return {
        "video_frames_sent": max((one.frames_sent for one in sent if one is not None), default=0),
        "video_frames_received": max((one.frames_received for one in received if one is not None), default=0),
        "fell_back_to": fallback.fallback.replace("-", "_") if fallback is not None else "",
        "fell_back_at_s": fallback.at_s if fallback is not None else None,
    }


def _outcome(facts: BrowserLegFacts, first_audio_s: float | None) -> Outcome:
    ended = next((shown.end_reason for shown in reversed(facts.timeline) if shown.state == "ended"), "")
    if not facts.failure_reason and first_audio_s is not None and facts.hung_up_cleanly:
        return Outcome.COMPLETED
    try:
        outcome = Outcome(ended)
    except ValueError:
        return Outcome.FAILED
    return outcome if outcome in HUMAN_OUTCOMES else Outcome.FAILED


def _stage(facts: BrowserLegFacts, first_audio_s: float | None) -> Stage:
    reached = Stage.ATTEMPTED
    if _shown_at_s(facts.timeline, "ringing") is not None:
        reached = Stage.RINGING
    if any(shown.state in {"connecting", "in-call"} for shown in facts.timeline):
        reached = Stage.ANSWERED
    connection = facts.connection
    if connection is not None and connection.ice_at_ms is not None:
        reached = Stage.ICE
    if connection is not None and connection.connected_at_ms is not None:
        reached = Stage.DTLS
    if first_audio_s is not None and facts.sent_packets > 0:
        reached = Stage.MEDIA_BOTH_WAYS
        if facts.intended_end_at_s is not None:
            reached = Stage.ENDED if facts.hung_up_cleanly else Stage.SUSTAINED
    return reached


def _shown_at_s(timeline: Sequence[CallScreen], state: str) -> float | None:
    return next((shown.at_s for shown in timeline if shown.state == state), None)


def _seconds(at_ms: float | None) -> float | None:
    return at_ms / 1000 if at_ms is not None else None


def _first_and_last(samples: Sequence[StatsSample]) -> tuple[InboundStats, InboundStats]:
    inbound = [sample.audio_in for sample in samples if sample.audio_in is not None]
    return (inbound[0], inbound[-1]) if inbound else (InboundStats(), InboundStats())


def _payload_kbit(samples: Sequence[StatsSample]) -> float | None:
    heard = [sample for sample in samples if sample.audio_in is not None]
    if len(heard) < 2 or heard[0].audio_in is None or heard[-1].audio_in is None:
        return None
    span_s = (heard[-1].at_ms - heard[0].at_ms) / 1000
    received = heard[-1].audio_in.bytes_received - heard[0].audio_in.bytes_received
    return received * 8 / span_s / 1000 if span_s > 0 else None

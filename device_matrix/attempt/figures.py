"""Builds the figures of one attempt for ``cell.json``; every name carries its unit."""

from __future__ import annotations

from calls.records.record import LegRecord
from device_matrix.attempt.evidence import CallEvidence
from device_matrix.cpu.speed import CpuSpeed
from device_matrix.devices import Device
from device_matrix.hook.samples import PeerConnectionStats
from device_matrix.scenarios.call_flow import CallContext

CellFigures = dict[str, float | str | None]
_Table = tuple[tuple[str, str, str], ...]

_CALL: _Table = (
    ("rtt_ms", "device", "rtt_ms"),
    ("owd_down_p50_ms", "device", "owd_p50_ms"),
    ("owd_down_p95_ms", "device", "owd_p95_ms"),
    ("owd_up_p50_ms", "sent", "owd_p50_ms"),
    ("owd_up_p95_ms", "sent", "owd_p95_ms"),
    ("effective_loss_ratio", "device", "effective_loss_ratio"),
    ("jitter_ms", "device", "jitter_ms"),
    ("max_gap_down_ms", "device", "max_gap_ms"),
    ("max_gap_up_ms", "sent", "max_gap_ms"),
    ("far_max_gap_ms", "far", "max_gap_ms"),
    ("far_effective_loss_ratio", "far", "effective_loss_ratio"),
    ("mouth_to_ear_ms", "device", "mouth_to_ear_ms"),
    ("mos_lq", "device", "mos_lq"),
    ("mos_cq", "device", "mos_cq"),
    ("far_mos_lq", "far", "mos_lq"),
    ("audio_kbit", "device", "audio_kbit"),
    ("ptime_down_ms", "device", "ptime_ms"),
    ("ptime_up_ms", "sent", "ptime_ms"),
    ("fell_back_to", "device", "fell_back_to"),
    ("fallback_ms", "context", "fallback_ms"),
    ("video_frames_sent", "device", "video_frames_sent"),
    ("video_frames_received", "device", "video_frames_received"),
)
"""Each figure's name, its source and the source's field. ``sent`` is the device's audio where it leaves the link."""
_LINK_AND_MACHINE: _Table = (
    ("link_lost", "drops", "lost"),
    ("link_queue_dropped", "drops", "queue"),
    ("link_outage_dropped", "drops", "outage"),
    ("link_late_p99_ms", "drops", "late_p99_ms"),
    ("machine_cpu_short_ratio", "evidence", "pressure_ratio"),
)


def setup_ms(device: LegRecord, far: LegRecord | None) -> float | None:
    """Returns the time from the call button to audio heard at both ends, without the far end's ringing time."""
    if far is None or device.first_audio_at_s is None or far.first_audio_at_s is None:
        return None
    heard_at_s = max(device.first_audio_at_s, far.first_audio_at_s)
    return (heard_at_s - device.intended_at_s) * 1000 - far.answer_wait_ms


def cell_figures(device: LegRecord, evidence: CallEvidence, context: CallContext) -> CellFigures:
    """Returns the cell's figures; None for what was never measured."""
    sources: dict[str, object] = {
        "device": device,
        "far": evidence.far_leg,
        "sent": evidence.audio.sent,
        "drops": evidence.drops,
        "evidence": evidence,
        "context": context,
    }
    return {
        "setup_ms": _rounded(setup_ms(device, evidence.far_leg)),
        **_from_table(_CALL, sources),
        **_browser_figures(evidence.connection),
        **_from_table(_LINK_AND_MACHINE, sources),
        "cpu_s": round(evidence.cpu_s, 2),
        "cpu_throttled_s": round(evidence.throttled_s, 2),
    }


def cpu_figures(cpu: CpuSpeed | None, device: Device) -> CellFigures:
    """Returns the CPU limit of the device, and its effect on one thread of the page beside the phone's own slowdown."""
    found: CellFigures = {"cpu_limit": "none" if cpu is None else "control group"}
    if cpu is None:
        return found
    return found | {
        "cpu_quota_cores": round(cpu.quota_cores, 3),
        "cpu_busy_cores": round(cpu.used_cores, 3),
        "cpu_thread_slowdown": round(cpu.thread_slowdown, 2),
        "cpu_thread_slowdown_of_quota": round(cpu.expected_slowdown, 2),
        "cpu_thread_slowdown_of_phone": device.cpu_slowdown,
    }


def _from_table(table: _Table, sources: dict[str, object]) -> CellFigures:
    """Returns the table's figures; a source that is None gives None."""
    return {
        name: _rounded(getattr(found, field)) if (found := sources[source]) is not None else None
        for name, source, field in table
    }


def _browser_figures(connection: PeerConnectionStats | None) -> CellFigures:
    """Returns what the browser's last sample says of codecs and addresses."""
    last = connection.samples[-1] if connection is not None and connection.samples else None
    pair = last.pair if last is not None else None
    codec = last.audio_in.codec if last is not None and last.audio_in is not None else None
    video = last.video_out if last is not None else None
    return {
        "video_encoder": (video.encoder_implementation or None) if video is not None else None,
        "audio_codec": f"{codec.mime_type} {codec.sdp_fmtp_line}".strip() if codec is not None else None,
        "local_candidate": f"{pair.local.candidate_type} {pair.local.address}" if pair is not None else None,
        "remote_candidate": f"{pair.remote.candidate_type} {pair.remote.address}" if pair is not None else None,
    }


def _rounded(value: float | str | None) -> float | str | None:
    if isinstance(value, str):
        return value or None
    return round(float(value), 4) if value is not None else None

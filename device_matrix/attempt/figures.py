"""The figures of one attempt as ``cell.json`` shows them, units in the names."""

from __future__ import annotations

from calls.records.record import LegRecord
from device_matrix.attempt.evidence import CallEvidence
from device_matrix.cpu.speed import CpuSpeed
from device_matrix.devices import Device
from device_matrix.scenarios.call_flow import CallContext

CellFigures = dict[str, float | str | None]


def setup_ms(device: LegRecord, far: LegRecord | None) -> float | None:
    """Returns the time from the press of the button to audio heard at both ends, less how long the far end rang."""
    if far is None or device.first_audio_at_s is None or far.first_audio_at_s is None:
        return None
    heard_at_s = max(device.first_audio_at_s, far.first_audio_at_s)
    return (heard_at_s - device.intended_at_s) * 1000 - far.answer_wait_ms


def cell_figures(device: LegRecord, evidence: CallEvidence, context: CallContext) -> CellFigures:
    """Returns the cell's figures; None where a thing was never measured."""
    far, sent, connection = evidence.far_leg, evidence.audio.sent, evidence.connection
    last = connection.samples[-1] if connection is not None and connection.samples else None
    pair = last.pair if last is not None else None
    codec = last.audio_in.codec if last is not None and last.audio_in is not None else None
    video = last.video_out if last is not None else None
    found: CellFigures = {
        "setup_ms": setup_ms(device, far),
        "rtt_ms": device.rtt_ms,
        "owd_down_p50_ms": device.owd_p50_ms,
        "owd_down_p95_ms": device.owd_p95_ms,
        "owd_up_p50_ms": sent.owd_p50_ms if sent is not None else None,
        "owd_up_p95_ms": sent.owd_p95_ms if sent is not None else None,
        "effective_loss_ratio": device.effective_loss_ratio,
        "jitter_ms": device.jitter_ms,
        "max_gap_down_ms": device.max_gap_ms,
        "max_gap_up_ms": sent.max_gap_ms if sent is not None else None,
        "far_max_gap_ms": far.max_gap_ms if far is not None else None,
        "far_effective_loss_ratio": far.effective_loss_ratio if far is not None else None,
        "mouth_to_ear_ms": device.mouth_to_ear_ms,
        "mos_lq": device.mos_lq,
        "mos_cq": device.mos_cq,
        "far_mos_lq": far.mos_lq if far is not None else None,
        "audio_kbit": device.audio_kbit,
        "ptime_down_ms": device.ptime_ms,
        "ptime_up_ms": sent.ptime_ms if sent is not None else None,
        "fell_back_to": device.fell_back_to or None,
        "fallback_ms": context.fallback_ms,
        "video_frames_sent": float(device.video_frames_sent),
        "video_frames_received": float(device.video_frames_received),
        "video_encoder": video.encoder_implementation if video is not None and video.encoder_implementation else None,
        "audio_codec": f"{codec.mime_type} {codec.sdp_fmtp_line}".strip() if codec is not None else None,
        "local_candidate": f"{pair.local.candidate_type} {pair.local.address}" if pair is not None else None,
        "remote_candidate": f"{pair.remote.candidate_type} {pair.remote.address}" if pair is not None else None,
        "link_lost": float(evidence.drops.lost),
        "link_queue_dropped": float(evidence.drops.queue),
        "link_outage_dropped": float(evidence.drops.outage),
        "link_late_p99_ms": evidence.drops.late_p99_ms,
        "machine_cpu_short_ratio": evidence.pressure_ratio,
        "cpu_s": round(evidence.cpu_s, 2),
        "cpu_throttled_s": round(evidence.throttled_s, 2),
    }
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}


def cpu_figures(cpu: CpuSpeed | None, device: Device) -> CellFigures:
    """Returns what held the device's CPU, and how slow one thread of its page was against the phone's own."""
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

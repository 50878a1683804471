"""Computes a call's audio figures, scores and sample rows from the hook's statistics and the capture."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from calls.quality import CallScore, Heard, score_call
from calls.records.record import SampleRow, Side, Tier
from device_matrix.capture.rtp_capture import Tap
from device_matrix.capture.rtp_streams import OPUS_CLOCK_HZ, StreamFigures, audio_streams, measure_stream, parse_rtp
from device_matrix.hook.samples import InboundStats, PeerConnectionStats, StatsSample

WINDOW_S = 5.0
OPUS_LOOKAHEAD_MS = 6.5
"""RFC 6716: by default the encoder looks ahead 2.5 ms (CELT) plus 4 ms."""
MIN_WINDOW_SAMPLES = OPUS_CLOCK_HZ
"""The fewest samples of a scored window: one second of audio."""


@dataclass(frozen=True, slots=True)
class AudioBothWays:
    """The call's audio in both directions, each captured at the receiving end of the link."""

    heard: StreamFigures | None
    """The stream that the device received."""
    sent: StreamFigures | None
    """The stream that the device sent, where it leaves the link."""
    device_send_gap_ms: float | None
    """The longest silence in what the device sent, measured before the link."""


def audio_both_ways(device: Tap, host: Tap, connection: PeerConnectionStats | None, *, until_s: float) -> AudioBothWays:
    """Returns the audio figures of both directions, up to ``until_s``."""
    inbound, outbound = _payload_types(connection)
    at_device, at_host = parse_rtp(device.packets), parse_rtp(host.packets)
    # At the host end, packets towards the device are outgoing.
    down_heard, down_sent = (
        audio_streams(at_device, inbound, outgoing=False),
        audio_streams(at_host, inbound, outgoing=True),
    )
    up_sent, up_heard = (
        audio_streams(at_device, outbound, outgoing=True),
        audio_streams(at_host, outbound, outgoing=False),
    )
    left_device = measure_stream(up_sent, (), until_s=until_s)
    return AudioBothWays(
        heard=measure_stream(down_heard, down_sent, until_s=until_s),
        sent=measure_stream(up_heard, up_sent, until_s=until_s),
        device_send_gap_ms=left_device.max_gap_ms if left_device is not None else None,
    )


def effective_loss_ratio(first: InboundStats, last: InboundStats) -> float | None:
    """Returns the concealed share of the audio played between two samples, without concealed silence.

    Concealment is the loss that jitter buffer and error correction could not repair, and so what a listener hears.
    """
    played = last.total_samples_received - first.total_samples_received
    if played <= 0:
        return None
    concealed = (last.concealed_samples - last.silent_concealed_samples) - (
        first.concealed_samples - first.silent_concealed_samples
    )
    return min(1.0, max(0.0, concealed / played))


def jitter_buffer_ms(first: InboundStats, last: InboundStats) -> float | None:
    """Returns the mean time that audio spent in the jitter buffer between two samples."""
    emitted = last.jitter_buffer_emitted_count - first.jitter_buffer_emitted_count
    if emitted <= 0:
        return None
    return (last.jitter_buffer_delay - first.jitter_buffer_delay) / emitted * 1000


def mouth_to_ear_ms(heard: StreamFigures, buffer_ms: float | None) -> float | None:
    """Returns the sum of frame, encoder look-ahead, one-way delay and jitter buffer; None without a delay."""
    if heard.owd_p50_ms is None:
        return None
    return heard.ptime_ms + OPUS_LOOKAHEAD_MS + heard.owd_p50_ms + (buffer_ms or 0.0)


def score(samples: Sequence[StatsSample], heard: StreamFigures | None) -> CallScore | None:
    """Returns the MOS of the audio that the device heard, from windows of WINDOW_S; None when it heard nothing."""
    if heard is None:
        return None
    windows = []
    for first, last in _windows(samples):
        played = last.audio_in.total_samples_received - first.audio_in.total_samples_received
        loss_ratio = effective_loss_ratio(first.audio_in, last.audio_in)
        if loss_ratio is None or played < MIN_WINDOW_SAMPLES:
            continue
        span_s = (last.at_ms - first.at_ms) / 1000
        windows.append(
            Heard(
                loss_ratio=loss_ratio,
                burst_ratio=heard.burst_ratio,
                kbit=(last.audio_in.bytes_received - first.audio_in.bytes_received) * 8 / span_s / 1000,
                ptime_ms=heard.ptime_ms,
                mouth_to_ear_ms=mouth_to_ear_ms(heard, jitter_buffer_ms(first.audio_in, last.audio_in)),
            )
        )
    return score_call(windows)


def sample_rows(
    samples: Sequence[StatsSample],
    *,
    run_id: str,
    writer: str,
    call_id: str,
    cell: str,
    media_at: Sequence[tuple[float, str, str]],
) -> list[SampleRow]:
    """Returns one row per second. ``media_at`` holds (start, media, shown quality), oldest first."""
    rows = []
    for earlier, later in itertools.pairwise(samples):
        span_s = (later.at_ms - earlier.at_ms) / 1000
        if span_s <= 0:
            continue
        at_s = later.at_ms / 1000
        media, quality = next(
            ((media, quality) for since_s, media, quality in reversed(media_at) if since_s <= at_s), ("audio", "")
        )
        before, after = earlier.audio_in or InboundStats(), later.audio_in or InboundStats()
        rows.append(
            SampleRow(
                run_id=run_id,
                writer=writer,
                call_id=call_id,
                side=Side.CALLER,
                tier=Tier.BROWSER,
                cell=cell,
                at_s=at_s,
                kbit_in=_rate_kbit(earlier, later, "bytes_received", span_s),
                kbit_out=_rate_kbit(earlier, later, "bytes_sent", span_s),
                packets_in=after.packets_received - before.packets_received,
                lost=after.packets_lost - before.packets_lost,
                rtt_ms=later.rtt_ms,
                jitter_ms=after.jitter * 1000 if after.jitter is not None else None,
                media=media,
                quality=quality,
            )
        )
    return rows


def median_rtt_ms(samples: Sequence[StatsSample]) -> float | None:
    """Returns the median round trip of the call; None when it was never measured."""
    found = [rtt_ms for sample in samples if (rtt_ms := sample.rtt_ms) is not None]
    return statistics.median(found) if found else None


@dataclass(frozen=True, slots=True)
class _Heard:
    at_ms: float
    audio_in: InboundStats


def _windows(samples: Sequence[StatsSample]) -> list[tuple[_Heard, _Heard]]:
    heard = [_Heard(sample.at_ms, sample.audio_in) for sample in samples if sample.audio_in is not None]
    windows = []
    start = 0
    for index, sample in enumerate(heard):
        if sample.at_ms - heard[start].at_ms >= WINDOW_S * 1000:
            windows.append((heard[start], sample))
            start = index
    if not windows and len(heard) > 1:
        windows.append((heard[0], heard[-1]))
    return windows


def _payload_types(connection: PeerConnectionStats | None) -> tuple[int, int]:
    """Returns the audio payload types, received and sent; -1 where the browser reported none."""
    inbound = outbound = -1
    for sample in connection.samples if connection is not None else ():
        if sample.audio_in is not None and sample.audio_in.codec is not None:
            inbound = sample.audio_in.codec.payload_type
        if sample.audio_out is not None and sample.audio_out.codec is not None:
            outbound = sample.audio_out.codec.payload_type
    return inbound, outbound


def _rate_kbit(earlier: StatsSample, later: StatsSample, counter: str, span_s: float) -> float:
    if earlier.pair is None or later.pair is None:
        return 0.0
    return float(max(0, getattr(later.pair, counter) - getattr(earlier.pair, counter))) * 8 / span_s / 1000

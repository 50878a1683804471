"""Measures the audio of a call from captured packets: SRTP leaves RTP headers unencrypted (RFC 3711).

The figures come from packets that arrived at the device, so they do not depend on the browser's own counters.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bedrock.quantile import quantile
from calls.media.rtp_fields import next_jitter, read_rtp_fields, sequence_step, timestamp_step
from device_matrix.capture.rtp_capture import CapturedPacket

OPUS_CLOCK_HZ = 48_000
_IP_BYTES, _UDP_BYTES = 20, 8
_UDP = 17


@dataclass(frozen=True, slots=True)
class CapturedRtp:
    """The header of one RTP packet, as captured at one end of the link."""

    at_s: float
    outgoing: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """One audio stream, measured where it was received."""

    packets: int
    lost: int
    first_at_s: float
    last_at_s: float
    max_gap_ms: float
    jitter_ms: float
    """RFC 3550 interarrival jitter at the end."""
    ptime_ms: float
    burst_ratio: float
    """BurstR of ITU-T G.107: 1 for random loss, more for losses in runs."""
    owd_p50_ms: float | None
    owd_p95_ms: float | None


def parse_rtp(packets: Sequence[CapturedPacket]) -> list[CapturedRtp]:
    """Returns the RTP packets among the captured IP packets, in the order of capture."""
    return [header for packet in packets if (header := _parse(packet)) is not None]


def audio_streams(headers: Sequence[CapturedRtp], payload_type: int, *, outgoing: bool) -> list[CapturedRtp]:
    """Returns one direction's packets of the busiest source that uses ``payload_type``."""
    by_source: dict[int, list[CapturedRtp]] = {}
    for header in headers:
        if header.payload_type == payload_type and header.outgoing == outgoing:
            by_source.setdefault(header.ssrc, []).append(header)
    return max(by_source.values(), key=len, default=[])


def measure_stream(
    heard: Sequence[CapturedRtp], sent: Sequence[CapturedRtp], *, until_s: float, clock_hz: int = OPUS_CLOCK_HZ
) -> StreamFigures | None:
    """Returns a stream's figures, from its first received packet to ``until_s``; None when nothing was received.

    ``sent`` holds the same packets at the other end of the link, for the one-way delay. The silence from the last
    packet to ``until_s``, the intended end, counts as a gap.
    """
    inside = [header for header in heard if header.at_s <= until_s]
    if not inside:
        return None
    arrivals = [header.at_s for header in inside]
    gaps_s = [later - earlier for earlier, later in zip(arrivals, [*arrivals[1:], until_s], strict=True)]
    delays_ms = _one_way_delays_ms(inside, sent)
    return StreamFigures(
        packets=len(inside),
        lost=_lost(inside),
        first_at_s=arrivals[0],
        last_at_s=arrivals[-1],
        max_gap_ms=max(gaps_s) * 1000,
        jitter_ms=_jitter_ms(inside, clock_hz),
        ptime_ms=_ptime_ms(inside, clock_hz),
        burst_ratio=_burst_ratio(inside),
        owd_p50_ms=statistics.median(delays_ms) if delays_ms else None,
        owd_p95_ms=quantile(delays_ms, 0.95),
    )


def unwrap_sequence(headers: Sequence[CapturedRtp]) -> list[int]:
    """Returns the sequence numbers without their wrap at 65536, each relative to the one before it in the list."""
    unwrapped: list[int] = []
    for header in headers:
        before = unwrapped[-1] if unwrapped else header.sequence
        unwrapped.append(before + sequence_step(header.sequence, before))
    return unwrapped


def _parse(packet: CapturedPacket) -> CapturedRtp | None:
    head = packet.head
    ip_bytes = (head[0] & 0x0F) * 4
    if len(head) < _IP_BYTES or head[9] != _UDP:
        return None
    fields = read_rtp_fields(head, ip_bytes + _UDP_BYTES)
    return CapturedRtp(packet.at_s, packet.outgoing, *fields) if fields is not None else None


def _lost(headers: Sequence[CapturedRtp]) -> int:
    unwrapped = unwrap_sequence(headers)
    return max(0, max(unwrapped) - min(unwrapped) + 1 - len(set(unwrapped)))


def _burst_ratio(headers: Sequence[CapturedRtp]) -> float:
    """Mean length of a run of losses over the mean that random loss of the same rate would have, 1 / (1 - loss)."""
    present = sorted(set(unwrap_sequence(headers)))
    runs = [later - earlier - 1 for earlier, later in itertools.pairwise(present) if later - earlier > 1]
    if not runs:
        return 1.0
    loss_ratio = sum(runs) / (present[-1] - present[0] + 1)
    return max(1.0, sum(runs) / len(runs) * (1 - loss_ratio))


def _jitter_ms(headers: Sequence[CapturedRtp], clock_hz: int) -> float:
    jitter_s = 0.0
    for earlier, later in itertools.pairwise(headers):
        media_s = timestamp_step(later.timestamp, earlier.timestamp) / clock_hz
        jitter_s = next_jitter(jitter_s, (later.at_s - earlier.at_s) - media_s)
    return jitter_s * 1000


def _ptime_ms(headers: Sequence[CapturedRtp], clock_hz: int) -> float:
    steps = [
        timestamp_step(later.timestamp, earlier.timestamp)
        for earlier, later in itertools.pairwise(headers)
        if sequence_step(later.sequence, earlier.sequence) == 1
    ]
    return statistics.median(steps) * 1000 / clock_hz if steps else 0.0


def _one_way_delays_ms(heard: Sequence[CapturedRtp], sent: Sequence[CapturedRtp]) -> list[float]:
    left_at_s = {(header.ssrc, header.sequence, header.timestamp): header.at_s for header in sent}
    return [
        (header.at_s - left_at_s[key]) * 1000
        for header in heard
        if (key := (header.ssrc, header.sequence, header.timestamp)) in left_at_s
    ]

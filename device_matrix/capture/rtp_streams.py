"""What a capture says about the audio of a call: RTP headers travel in the clear in SRTP (RFC 3711).

Figures come from the packets that really arrived at the device, so they do not depend on what the browser counts.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from device_matrix.capture.rtp_capture import CapturedPacket

OPUS_CLOCK_HZ = 48_000
_UDP = 17
_RTCP_TYPES = range(192, 224)
"""Second byte of an RTCP packet multiplexed with RTP (RFC 5761)."""


@dataclass(frozen=True, slots=True)
class CapturedRtp:
    """One RTP packet as one end of the link saw it."""

    at_s: float
    outgoing: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """One audio stream at the end where it was heard."""

    packets: int
    lost: int
    first_at_s: float
    last_at_s: float
    max_gap_ms: float
    jitter_ms: float
    """RFC 3550 interarrival jitter at the end."""
    ptime_ms: float
    burst_ratio: float
    """BurstR of ITU-T G.107: 1 for random loss, more when losses come in runs."""
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
    """Returns the figures of a stream, from its first packet heard to ``until_s``; None when nothing was heard.

    ``sent`` are the same packets at the other end of the link, for the one-way delay. The silence between the last
    packet and ``until_s``, the intended end, counts as a gap.
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
        owd_p95_ms=_percentile(delays_ms, 0.95) if delays_ms else None,
    )


def extend_sequence(headers: Sequence[CapturedRtp]) -> list[int]:
    """Returns the sequence numbers without their wrap at 65536, each relative to the one before it in the list."""
    extended: list[int] = []
    for header in headers:
        if not extended:
            extended.append(header.sequence)
            continue
        step = (header.sequence - extended[-1] + 0x8000) % 0x10000 - 0x8000
        extended.append(extended[-1] + step)
    return extended


def _parse(packet: CapturedPacket) -> CapturedRtp | None:
    head = packet.head
    ip_bytes = (head[0] & 0x0F) * 4
    rtp = ip_bytes + 8
    if len(head) < rtp + 12 or head[9] != _UDP or head[rtp] >> 6 != 2 or head[rtp + 1] in _RTCP_TYPES:
        return None
    return CapturedRtp(
        at_s=packet.at_s,
        outgoing=packet.outgoing,
        payload_type=head[rtp + 1] & 0x7F,
        sequence=int.from_bytes(head[rtp + 2 : rtp + 4], "big"),
        timestamp=int.from_bytes(head[rtp + 4 : rtp + 8], "big"),
        ssrc=int.from_bytes(head[rtp + 8 : rtp + 12], "big"),
    )


def _lost(headers: Sequence[CapturedRtp]) -> int:
    extended = extend_sequence(headers)
    return max(0, max(extended) - min(extended) + 1 - len(set(extended)))


def _burst_ratio(headers: Sequence[CapturedRtp]) -> float:
    """Mean length of a run of losses over the mean that random loss of the same rate would have, 1 / (1 - loss)."""
    present = sorted(set(extend_sequence(headers)))
    runs = [later - earlier - 1 for earlier, later in itertools.pairwise(present) if later - earlier > 1]
    if not runs:
        return 1.0
    loss_ratio = sum(runs) / (present[-1] - present[0] + 1)
    return max(1.0, sum(runs) / len(runs) * (1 - loss_ratio))


def _jitter_ms(headers: Sequence[CapturedRtp], clock_hz: int) -> float:
    jitter_s = 0.0
    for earlier, later in itertools.pairwise(headers):
        ticks = (later.timestamp - earlier.timestamp + 0x80000000) % 0x100000000 - 0x80000000
        difference_s = (later.at_s - earlier.at_s) - ticks / clock_hz
        jitter_s += (abs(difference_s) - jitter_s) / 16
    return jitter_s * 1000


def _ptime_ms(headers: Sequence[CapturedRtp], clock_hz: int) -> float:
    steps = [
        (later.timestamp - earlier.timestamp) % 0x100000000
        for earlier, later in itertools.pairwise(headers)
        if (later.sequence - earlier.sequence) % 0x10000 == 1
    ]
    return statistics.median(steps) * 1000 / clock_hz if steps else 0.0


def _one_way_delays_ms(heard: Sequence[CapturedRtp], sent: Sequence[CapturedRtp]) -> list[float]:
    left_at_s = {(header.ssrc, header.sequence, header.timestamp): header.at_s for header in sent}
    return sorted(
        (header.at_s - left_at_s[key]) * 1000
        for header in heard
        if (key := (header.ssrc, header.sequence, header.timestamp)) in left_at_s
    )


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

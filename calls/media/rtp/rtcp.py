"""Writes and reads RTCP (RFC 3550, RFC 4585): reports, picture loss indications and goodbyes.

aiortc's RTCP classes are not used. Its parser rejects a whole compound packet for one malformed part, and creates
objects for packet types that we ignore. This parser yields what we need and stops at the malformed part.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
GOODBYE = 203
TRANSPORT_FEEDBACK = 205
PAYLOAD_FEEDBACK = 206
_PICTURE_LOSS = 1
_FULL_INTRA_REQUEST = 4

_NTP_EPOCH_S = 2_208_988_800
_REPORT = struct.Struct("!IIIIII")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one end received of one stream of the other (RFC 3550, 6.4.1)."""

    ssrc: int
    fraction_lost: float
    packets_lost: int
    highest_sequence: int
    jitter_units: int
    last_sr: int
    """Middle 32 bits of the NTP time of the last sender report received; 0 for none."""
    delay_since_sr_s: float


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The far end's clock when it sent the report."""

    ssrc: int
    middle_ntp: int


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """PLI or FIR: the far end cannot decode our video until it gets a keyframe."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE: a stream has ended."""

    ssrc: int


RtcpEvent = ReportBlock | SenderReport | KeyframeRequest | Goodbye


def middle_ntp(unix_s: float) -> int:
    """Returns the middle 32 bits of the NTP timestamp of a Unix time."""
    return int((unix_s + _NTP_EPOCH_S) * 65536) & 0xFFFFFFFF


def round_trip_s(block: ReportBlock, now_unix_s: float) -> float | None:
    """Returns the round trip that a report block gives (RFC 3550, 6.4.1); None without one."""
    if not block.last_sr:
        return None
    units = (middle_ntp(now_unix_s) - block.last_sr) & 0xFFFFFFFF
    rtt_s = units / 65536 - block.delay_since_sr_s
    return rtt_s if -0.001 <= rtt_s < 60 else None


def sender_report(
    ssrc: int, unix_s: float, rtp_timestamp: int, packets: int, payload_bytes: int, blocks: list[ReportBlock]
) -> bytes:
    """Returns an SR packet."""
    ntp = int((unix_s + _NTP_EPOCH_S) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF
    body = struct.pack(
        "!IQIII", ssrc, ntp, rtp_timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, payload_bytes & 0xFFFFFFFF
    )
    return _packet(len(blocks), SENDER_REPORT, body + b"".join(map(_pack_block, blocks)))


def receiver_report(ssrc: int, blocks: list[ReportBlock]) -> bytes:
    """Returns an RR packet."""
    return _packet(len(blocks), RECEIVER_REPORT, struct.pack("!I", ssrc) + b"".join(map(_pack_block, blocks)))


def source_description(ssrc: int, cname: str) -> bytes:
    """Returns the SDES packet, a part of every compound packet."""
    item = b"\x01" + bytes([len(cname)]) + cname.encode() + b"\x00"
    return _packet(1, SOURCE_DESCRIPTION, struct.pack("!I", ssrc) + item + bytes(-len(item) % 4))


def picture_loss(own_ssrc: int, media_ssrc: int) -> bytes:
    """Returns a PLI packet (RFC 4585, 6.3.1)."""
    return _packet(_PICTURE_LOSS, PAYLOAD_FEEDBACK, struct.pack("!II", own_ssrc, media_ssrc))


def parse(data: bytes) -> Iterator[RtcpEvent]:
    """Yields the events of a compound packet; stops without an error where it is malformed."""
    at = 0
    while at + 8 <= len(data):
        count, kind, words = data[at] & 0x1F, data[at + 1], data[at + 2] << 8 | data[at + 3]
        end = at + 4 + 4 * words
        if data[at] >> 6 != 2 or end > len(data):
            return
        body = data[at + 4 : end]
        if kind == SENDER_REPORT and len(body) >= 24:
            yield SenderReport(int.from_bytes(body[0:4]), int.from_bytes(body[6:10]))
            yield from _parse_blocks(body[24:], count)
        elif kind == RECEIVER_REPORT and len(body) >= 4:
            yield from _parse_blocks(body[4:], count)
        elif kind == PAYLOAD_FEEDBACK and count in (_PICTURE_LOSS, _FULL_INTRA_REQUEST):
            yield KeyframeRequest()
        elif kind == GOODBYE and count and len(body) >= 4:
            yield Goodbye(int.from_bytes(body[0:4]))
        at = end


def _parse_blocks(body: bytes, count: int) -> Iterator[ReportBlock]:
    for at in range(0, min(count * 24, len(body) - 23), 24):
        ssrc, loss, highest, jitter, last_sr, delay = _REPORT.unpack_from(body, at)
        lost = loss & 0xFFFFFF
        yield ReportBlock(
            ssrc=ssrc,
            fraction_lost=(loss >> 24) / 256,
            packets_lost=lost - (1 << 24) if lost & 0x800000 else lost,
            highest_sequence=highest,
            jitter_units=jitter,
            last_sr=last_sr,
            delay_since_sr_s=delay / 65536,
        )


def _pack_block(block: ReportBlock) -> bytes:
    lost = max(-0x800000, min(0x7FFFFF, block.packets_lost)) & 0xFFFFFF
    return _REPORT.pack(
        block.ssrc,
        min(255, int(block.fraction_lost * 256)) << 24 | lost,
        block.highest_sequence & 0xFFFFFFFF,
        block.jitter_units & 0xFFFFFFFF,
        block.last_sr,
        int(block.delay_since_sr_s * 65536) & 0xFFFFFFFF,
    )


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body

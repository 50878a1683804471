"""Writes and reads RTP headers (RFC 3550) with two header extensions (RFC 8285, one-byte form): abs-send-time and mid.

abs-send-time has 24 bits of seconds in 6.18 fixed point. We stamp CLOCK_MONOTONIC, so two processes of one machine can
compare their times; Chromium stamps the wall clock.
https://webrtc.googlesource.com/src/+/main/docs/native-code/rtp-hdrext/abs-send-time
"""

from __future__ import annotations

import struct

ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

ABS_UNITS_A_SECOND = 1 << 18
ABS_WRAP_S = 64.0
_FIXED = struct.Struct("!BBHII")
_EXTENDED = struct.Struct("!BBHIIHH")
_WITH_TIME = struct.Struct("!BBHIIHHI")
_ONE_BYTE_PROFILE = 0xBEDE


class RtpHeader:
    """Writes the headers of one stream. Most of a header is constant, because negotiation fixes the extensions."""

    __slots__ = ("_payload_type", "_ssrc", "_suffix", "_time_id", "_words", "length")

    def __init__(
        self, *, payload_type: int, ssrc: int, abs_send_time_id: int | None, mid_id: int | None, mid: str
    ) -> None:
        self._payload_type = payload_type
        self._ssrc = ssrc
        self._time_id = (abs_send_time_id << 4 | 2) << 24 if abs_send_time_id else 0
        suffix = bytes([mid_id << 4 | len(mid) - 1]) + mid.encode() if mid_id and 0 < len(mid) <= 16 else b""
        self._suffix = suffix + bytes(-len(suffix) % 4)
        self._words = len(self._suffix) // 4 + (1 if self._time_id else 0)
        self.length = 12 + (4 + 4 * self._words if self._words else 0)

    def write(self, buffer: bytearray, sequence: int, timestamp: int, marker: bool, now_s: float) -> None:
        """Writes ``length`` bytes at the start of ``buffer``."""
        payload_type = self._payload_type | 0x80 if marker else self._payload_type
        if self._time_id:
            time = self._time_id | (int(now_s * ABS_UNITS_A_SECOND) & 0xFFFFFF)
            _WITH_TIME.pack_into(
                buffer, 0, 0x90, payload_type, sequence, timestamp, self._ssrc, _ONE_BYTE_PROFILE, self._words, time
            )
            buffer[20 : self.length] = self._suffix
        elif self._words:
            _EXTENDED.pack_into(
                buffer, 0, 0x90, payload_type, sequence, timestamp, self._ssrc, _ONE_BYTE_PROFILE, self._words
            )
            buffer[16 : self.length] = self._suffix
        else:
            _FIXED.pack_into(buffer, 0, 0x80, payload_type, sequence, timestamp, self._ssrc)


def payload_span(data: bytearray, length: int) -> tuple[int, int] | None:
    """Returns where the payload of an RTP packet starts and ends; None when the header is inconsistent."""
    first = data[0]
    start = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if start + 4 > length:
            return None
        start += 4 + 4 * (data[start + 2] << 8 | data[start + 3])
    end = length
    if first & 0x20 and length > start:
        end -= data[length - 1]
    return (start, end) if 12 <= start <= end else None


def find_extension(data: bytearray, length: int, wanted_id: int) -> int:
    """Returns the offset of the value of a one-byte header extension; 0 when the packet has none with that id."""
    first = data[0]
    at = 12 + 4 * (first & 0x0F)
    if not first & 0x10 or at + 4 > length or data[at] != 0xBE or data[at + 1] != 0xDE:
        return 0
    end = min(length, at + 4 + 4 * (data[at + 2] << 8 | data[at + 3]))
    at += 4
    while at < end:
        identifier, size = data[at] >> 4, (data[at] & 0x0F) + 1
        if data[at] == 0:
            at += 1
        elif identifier == 15:
            return 0
        elif identifier == wanted_id:
            return at + 1 if at + 1 + size <= end else 0
        else:
            at += 1 + size
    return 0


def owd_s(data: bytearray, at: int, now_s: float) -> float:
    """Returns the one-way delay from the abs-send-time at offset ``at``, in -32 s .. 32 s."""
    sent_s = (data[at] << 16 | data[at + 1] << 8 | data[at + 2]) / ABS_UNITS_A_SECOND
    delay_s = (now_s - sent_s) % ABS_WRAP_S
    return delay_s if delay_s < ABS_WRAP_S / 2 else delay_s - ABS_WRAP_S

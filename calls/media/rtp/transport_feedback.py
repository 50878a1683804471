"""Writes transport-wide feedback, from which a browser estimates its bandwidth: when each of its packets arrived.

See draft-holmer-rmcat-transport-wide-cc-extensions-01. Our own senders pace pre-encoded media and need no feedback.
"""

from __future__ import annotations

import struct

from calls.media.rtp.rtcp import TRANSPORT_FEEDBACK
from calls.media.rtp_fields import sequence_step

VIDEO_INTERVAL_S = 0.1
AUDIO_INTERVAL_S = 0.25
"""Longer than for video: audio alone says little about bandwidth, and on a narrow link every packet counts."""
_FORMAT = 15
_DELTA_S = 0.000_25
_REFERENCE_S = 0.064
_MAX_PACKETS = 400


class TransportFeedback:
    """Collects arrivals and writes the feedback packets."""

    def __init__(self, own_ssrc: int) -> None:
        self._own_ssrc = own_ssrc
        self._arrivals: dict[int, float] = {}
        self._highest = -1
        self._next_base = -1
        self._count = 0
        self._media_ssrc = 0

    def arrived(self, transport_sequence: int, media_ssrc: int, now_s: float) -> None:
        """Notes one packet."""
        if self._highest < 0:
            self._highest = self._next_base = transport_sequence
        sequence = self._highest + sequence_step(transport_sequence, self._highest)
        self._highest = max(self._highest, sequence)
        self._media_ssrc = media_ssrc
        if sequence >= self._next_base:
            self._arrivals[sequence] = now_s

    def take(self) -> bytes | None:
        """Returns the feedback for arrivals since the last call; None without any."""
        if not self._arrivals:
            return None
        last = min(max(self._arrivals), self._next_base + _MAX_PACKETS - 1)
        base = self._next_base
        times = [self._arrivals.pop(sequence, None) for sequence in range(base, last + 1)]
        self._next_base = last + 1
        first_s = next((time_s for time_s in times if time_s is not None), None)
        if first_s is None:
            return None
        reference = int(first_s / _REFERENCE_S)
        symbols, deltas = _encode(times, reference * _REFERENCE_S)
        chunks = [_chunk(symbols[at : at + 7]) for at in range(0, len(symbols), 7)]
        body = struct.pack(
            "!IIHHI",
            self._own_ssrc,
            self._media_ssrc,
            base & 0xFFFF,
            len(symbols),
            (reference & 0xFFFFFF) << 8 | self._count & 0xFF,
        )
        self._count += 1
        body += b"".join(chunks) + deltas
        body += bytes(-len(body) % 4)
        return struct.pack("!BBH", 0x80 | _FORMAT, TRANSPORT_FEEDBACK, len(body) // 4) + body


def _encode(times: list[float | None], reference_s: float) -> tuple[list[int], bytes]:
    """Returns the status symbols (0 lost, 1 small delta, 2 large or negative delta) and the deltas."""
    symbols: list[int] = []
    deltas = b""
    previous_units = 0
    for time_s in times:
        if time_s is None:
            symbols.append(0)
            continue
        units = round((time_s - reference_s) / _DELTA_S)
        delta = max(-0x8000, min(0x7FFF, units - previous_units))
        previous_units += delta
        small = 0 <= delta <= 0xFF
        symbols.append(1 if small else 2)
        deltas += struct.pack("!B" if small else "!h", delta)
    return symbols, deltas


def _chunk(symbols: list[int]) -> bytes:
    """Returns a status vector chunk of seven two-bit symbols."""
    word = 0xC000
    for place, symbol in enumerate(symbols):
        word |= symbol << (12 - 2 * place)
    return struct.pack("!H", word)

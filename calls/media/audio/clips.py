"""Encodes Opus clips once per process. All legs share them, which makes a high load possible."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from calls.media.audio.opus import OpusEncoder
from calls.media.audio.speech import speech_pcm

OFFERED: tuple[tuple[int, int], ...] = ((20, 32), (20, 24), (20, 16), (40, 24), (40, 16), (60, 24), (60, 16), (60, 12))
"""(ptime_ms, kbit) of every clip that can be sent, richest first."""

_SETTLE_FRAMES = 20


@dataclass(frozen=True, slots=True)
class AudioClip:
    """A loop of Opus packets."""

    ptime_ms: int
    kbit: int
    payloads: tuple[bytes, ...]

    @property
    def samples(self) -> int:
        """RTP timestamp units of one packet (48 kHz, RFC 7587)."""
        return 48 * self.ptime_ms


def choose(ptime_ms: int, kbit: float) -> tuple[int, int]:
    """Returns (ptime_ms, kbit) of the richest clip within the request: frames never shorter, bitrate never higher.

    A frame length beyond the longest clip gives the longest; a bitrate below the lowest gives the lowest.
    """
    lengths = sorted({length for length, _ in OFFERED})
    length = next((length for length in lengths if length >= ptime_ms), lengths[-1])
    rates = [rate for offered, rate in OFFERED if offered == length]
    return length, next((rate for rate in rates if rate <= kbit), rates[-1])


@functools.cache
def audio_clip(ptime_ms: int, kbit: int) -> AudioClip:
    """Returns the clip. The first call encodes it (about 0.1 s). Raises ClipUnavailable."""
    encoder = OpusEncoder(kbit, ptime_ms)
    pcm = speech_pcm()
    step = 2 * encoder.frame_samples
    try:
        payloads = tuple(encoder.encode(pcm[at : at + step]) for at in range(0, len(pcm) - step + 1, step))
    finally:
        encoder.close()
    return AudioClip(ptime_ms, kbit, payloads)


@functools.cache
def silence(ptime_ms: int, kbit: int) -> bytes:
    """Returns one packet of silence, from an encoder that has settled. Raises ClipUnavailable."""
    encoder = OpusEncoder(kbit, ptime_ms)
    try:
        return [encoder.encode(bytes(2 * encoder.frame_samples)) for _ in range(_SETTLE_FRAMES)][-1]
    finally:
        encoder.close()

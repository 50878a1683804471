"""Calls libopus by ctypes for what PyAV does not offer: concealment, forward error correction, frames of 60 ms.

The library is the one in the PyAV wheel, else the system's. Functions and constants are those of opus.h and
opus_defines.h (RFC 6716).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from pathlib import Path

from calls.media.errors import ClipUnavailable

SAMPLE_RATE = 48_000
_APPLICATION_VOIP = 2048
_SET_BITRATE = 4002
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS = 4014
_PAYLOAD_MAX = 1275
_LONGEST_FRAME = 5760
"""Samples of 120 ms, the longest that a packet can hold."""


@functools.cache
def _library() -> ctypes.CDLL:
    import av

    bundled = sorted((Path(av.__file__).parent.parent / "av.libs").glob("libopus*.so*"))
    system = ctypes.util.find_library("opus")
    for candidate in [*map(str, bundled), *([system] if system else [])]:
        try:
            library = ctypes.CDLL(candidate)
        except OSError:
            continue
        library.opus_encoder_create.restype = ctypes.c_void_p
        library.opus_decoder_create.restype = ctypes.c_void_p
        return library
    raise ClipUnavailable("libopus is not on this machine", hint="apt-get install libopus0")


def _check(code: int, what: str) -> int:
    if code < 0:
        raise ClipUnavailable(f"libopus refused {what} with code {code}")
    return code


class OpusEncoder:
    """A mono encoder for speech. ``close`` frees it."""

    def __init__(self, kbit: int, ptime_ms: int, *, fec: bool = False, complexity: int = 5) -> None:
        self._library = _library()
        error = ctypes.c_int()
        self._state = ctypes.c_void_p(
            self._library.opus_encoder_create(SAMPLE_RATE, 1, _APPLICATION_VOIP, ctypes.byref(error))
        )
        _check(error.value, "an encoder")
        self.frame_samples = SAMPLE_RATE * ptime_ms // 1000
        self._out = ctypes.create_string_buffer(_PAYLOAD_MAX)
        self._set(_SET_BITRATE, kbit * 1000)
        self._set(_SET_COMPLEXITY, complexity)
        if fec:
            self._set(_SET_INBAND_FEC, 1)
            self._set(_SET_PACKET_LOSS, 10)

    def encode(self, pcm: bytes) -> bytes:
        """Encodes one frame of 16-bit mono samples. Raises ValueError when it is not exactly one frame long."""
        if len(pcm) != 2 * self.frame_samples:
            raise ValueError(f"a frame has {2 * self.frame_samples} bytes, not {len(pcm)}")
        size = self._library.opus_encode(self._state, pcm, self.frame_samples, self._out, _PAYLOAD_MAX)
        return self._out.raw[: _check(size, "a frame to encode")]

    def close(self) -> None:
        """Frees the encoder. Safe to call twice."""
        if self._state:
            self._library.opus_encoder_destroy(self._state)
            self._state = ctypes.c_void_p()

    def _set(self, request: int, value: int) -> None:
        _check(self._library.opus_encoder_ctl(self._state, request, ctypes.c_int(value)), f"request {request}")


class OpusDecoder:
    """A mono decoder with packet loss concealment, as in a phone. ``close`` frees it."""

    def __init__(self) -> None:
        self._library = _library()
        error = ctypes.c_int()
        self._state = ctypes.c_void_p(self._library.opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(error)))
        _check(error.value, "a decoder")
        self._pcm = (ctypes.c_int16 * _LONGEST_FRAME)()

    def decode(self, payload: bytes) -> bytes:
        """Returns the packet's 16-bit mono samples; concealment if the packet is not valid Opus."""
        count = self._library.opus_decode(self._state, payload, len(payload), self._pcm, _LONGEST_FRAME, 0)
        return self.conceal(960) if count < 0 else bytes(memoryview(self._pcm).cast("B")[: 2 * count])

    def conceal(self, samples: int) -> bytes:
        """Returns ``samples`` samples of concealment for a packet that did not arrive."""
        count = self._library.opus_decode(self._state, None, 0, self._pcm, min(samples, _LONGEST_FRAME), 0)
        return bytes(memoryview(self._pcm).cast("B")[: 2 * _check(count, "concealment")])

    def recover(self, next_payload: bytes, samples: int) -> bytes:
        """Returns the lost packet before ``next_payload`` from its forward error correction, or concealment."""
        count = self._library.opus_decode(self._state, next_payload, len(next_payload), self._pcm, samples, 1)
        return self.conceal(samples) if count < 0 else bytes(memoryview(self._pcm).cast("B")[: 2 * count])

    def close(self) -> None:
        """Frees the decoder. Safe to call twice."""
        if self._state:
            self._library.opus_decoder_destroy(self._state)
            self._state = ctypes.c_void_p()

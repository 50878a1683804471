"""Encodes a short VP8 clip with a keyframe every second, once per process, cut into RTP payloads for all legs.

With short groups of pictures a keyframe is always near. Pre-encoded video answers a PLI by jumping to it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from calls.media.errors import ClipUnavailable

WIDTH, HEIGHT = 160, 120
FRAME_RATE = 10
GROUP_FRAMES = FRAME_RATE
_GROUPS = 4
_KBIT = 80
_PAYLOAD_MAX = 1100
"""Leaves room for all headers and SRTP's trailer within 1280 bytes, the least that any IPv6 path carries."""
_START_OF_PARTITION = 0x10


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One encoded frame, ready for RTP (RFC 7741)."""

    keyframe: bool
    payloads: tuple[bytes, ...]


@functools.cache
def video_clip() -> tuple[VideoFrame, ...]:
    """Returns the loop of frames. The first call encodes it. Raises ClipUnavailable without libvpx."""
    import av
    from av.video.frame import PictureType

    try:
        encoder = av.CodecContext.create("libvpx", "w")
    except av.FFmpegError:
        raise ClipUnavailable("PyAV has no VP8 encoder here", hint="install the PyAV wheel from PyPI") from None
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(FRAME_RATE), Fraction(1, FRAME_RATE)
    encoder.bit_rate, encoder.thread_count, encoder.gop_size = _KBIT * 1000, 1, GROUP_FRAMES
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "error-resilient": "1"}
    frames: list[VideoFrame] = []
    for number in range(_GROUPS * GROUP_FRAMES):
        picture = av.VideoFrame.from_ndarray(_picture(number), format="rgb24").reformat(format="yuv420p")
        picture.pts = number
        picture.pict_type = PictureType.I if number % GROUP_FRAMES == 0 else PictureType.NONE
        frames.extend(VideoFrame(packet.is_keyframe, _payloads(bytes(packet))) for packet in encoder.encode(picture))
    return tuple(frames)


def _payloads(encoded: bytes) -> tuple[bytes, ...]:
    parts = [encoded[at : at + _PAYLOAD_MAX] for at in range(0, len(encoded), _PAYLOAD_MAX)]
    return tuple(bytes([0 if at else _START_OF_PARTITION]) + part for at, part in enumerate(parts))


def _picture(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A face-like disc that moves over a gradient: enough change for realistic frame sizes, and still small."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    phase = 2 * np.pi * number / (_GROUPS * GROUP_FRAMES)
    picture = np.stack([60 + x * 0.5, 70 + y * 0.6, 110 + (x + y) * 0.2], axis=-1)
    centre_x, centre_y = WIDTH / 2 + 30 * np.sin(phase), HEIGHT / 2 + 8 * np.sin(2 * phase)
    face = ((x - centre_x) / 28) ** 2 + ((y - centre_y) / 38) ** 2 < 1
    mouth = ((x - centre_x) / 10) ** 2 + ((y - centre_y - 16) / (2 + 4 * abs(np.sin(5 * phase)))) ** 2 < 1
    picture[face] = (224, 180, 150)
    picture[mouth] = (150, 50, 60)
    return picture.astype(np.uint8)

"""Provides the payloads of an audio stream, one per frame: a clip, silence, or live speech.

The sources are subclasses, not implementations of a protocol. The sender asks for every packet, and compiled code calls
the method of its own base class without a lookup by name.
"""

from __future__ import annotations

from collections.abc import Callable

from calls.media.audio.clips import AudioClip, silence


class AudioSource:
    """The base of all sources."""

    def __init__(self, ptime_ms: int, kbit: int) -> None:
        self.ptime_ms = ptime_ms
        self.kbit = kbit
        self.starts_spurt = False
        """The frame just returned is the first after a silence, so its packet gets the marker bit (RFC 3551, 4.1)."""

    def payload(self, due_s: float) -> bytes:
        """Returns the frame that is due now; empty when the source is silent and sends none."""
        raise NotImplementedError

    def close(self) -> None:
        """Releases the source's resources. Safe to call twice."""


class ClipSource(AudioSource):
    """A shared clip that starts at any packet."""

    def __init__(self, clip: AudioClip, start_at: int) -> None:
        super().__init__(clip.ptime_ms, clip.kbit)
        self._payloads = clip.payloads
        self._at = start_at % len(clip.payloads)

    def payload(self, due_s: float) -> bytes:
        """Returns the next packet of the loop."""
        at = self._at
        self._at = at + 1 if at + 1 < len(self._payloads) else 0
        return self._payloads[at]


class SilentSource(AudioSource):
    """A muted person: encoded silence in frames of the same length."""

    def __init__(self, ptime_ms: int, kbit: int) -> None:
        super().__init__(ptime_ms, kbit)
        self._payload = silence(ptime_ms, kbit)

    def payload(self, due_s: float) -> bytes:
        """Returns the same frame of silence."""
        return self._payload


class SpokenSource(AudioSource):
    """Frames that are encoded when they are due. ``speak`` takes the deadline, ``hush`` releases the encoder."""

    def __init__(self, ptime_ms: int, kbit: int, speak: Callable[[float], bytes], hush: Callable[[], None]) -> None:
        super().__init__(ptime_ms, kbit)
        self._speak, self._hush = speak, hush

    def payload(self, due_s: float) -> bytes:
        """Returns the encoded frame."""
        return self._speak(due_s)

    def close(self) -> None:
        self._hush()

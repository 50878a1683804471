"""Records a stretch of what a probe received, for the probe scorer."""

from __future__ import annotations

from dataclasses import dataclass

from calls.media.audio.opus import SAMPLE_RATE

WARM_UP_S = 2.0
"""Not recorded: a playout buffer needs this time to find its depth."""
SEGMENT_S = 8.0
SHORTEST_S = 4.0
"""A shorter recording says more about the sentence than about the call."""


@dataclass(frozen=True, slots=True)
class RecordedAudio:
    """One recording, as the decoder produced it."""

    pcm: bytes
    """16-bit mono samples at 48 kHz."""
    from_s: float
    """Monotonic time at which its first sample was played."""
    voice_tag: str
    """Which voice was said: see ``LiveVoice.tag``."""
    same_clock: bool
    """The far end uses the same monotonic clock, so a delay can be measured."""

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return len(self.pcm) / 2 / SAMPLE_RATE


class Recording:
    """Takes the played audio frame by frame, without gaps."""

    def __init__(self) -> None:
        self._skip = int(WARM_UP_S * SAMPLE_RATE)
        self._left = int(SEGMENT_S * SAMPLE_RATE)
        self._from_s: float | None = None
        self._frames: list[bytes] = []

    def add(self, pcm: bytes, at_s: float) -> None:
        """Adds a frame whose first sample was played at ``at_s``."""
        count = len(pcm) // 2
        if self._skip > 0:
            self._skip -= count
        elif self._left > 0:
            if self._from_s is None:
                self._from_s = at_s
            self._left -= count
            self._frames.append(pcm)

    def finish(self) -> tuple[bytes, float] | None:
        """Returns (samples, time of the first sample); None when there is too little to score."""
        pcm = b"".join(self._frames)
        if self._from_s is None or len(pcm) < SHORTEST_S * SAMPLE_RATE * 2:
            return None
        return pcm, self._from_s

"""Holds the senders and receivers of one leg and counts what passed through them.

A class of its own, because both the streams that start and stop them and the RTCP reporter that reads them need it.
"""

from __future__ import annotations

import random

from calls.media.ice.transport import RtpHandler
from calls.media.rtp.rtp_receiver import AudioReceiver
from calls.media.rtp.rtp_sender import AudioSender
from calls.media.video.video_receiver import VideoReceiver
from calls.media.video.video_sender import VideoSender


class StreamSet(RtpHandler):
    """Audio and video of one leg, both directions. A stream that does not exist yet is None."""

    def __init__(self, rng: random.Random) -> None:
        self.audio_ssrc = rng.getrandbits(32)
        self.video_ssrc = rng.getrandbits(32)
        self.audio_sender: AudioSender | None = None
        self.audio_receiver: AudioReceiver | None = None
        self.video_sender: VideoSender | None = None
        self.video_receiver: VideoReceiver | None = None

    @property
    def sends_video(self) -> bool:
        """Whether our video is being sent now."""
        return self.video_sender is not None and self.video_sender.running

    @property
    def packets_sent(self) -> int:
        """RTP packets, audio and video."""
        return sum(sender.packets for sender in (self.audio_sender, self.video_sender) if sender is not None)

    @property
    def packets_received(self) -> int:
        """RTP packets, audio and video."""
        return sum(stream.received for stream in (self.audio_receiver, self.video_receiver) if stream is not None)

    @property
    def bytes_sent(self) -> int:
        """RTP payload, audio and video."""
        return sum(sender.payload_bytes for sender in (self.audio_sender, self.video_sender) if sender is not None)

    @property
    def bytes_received(self) -> int:
        """RTP payload, audio and video."""
        return sum(stream.payload_bytes for stream in (self.audio_receiver, self.video_receiver) if stream is not None)

    def on_keyframe_request(self) -> None:
        """The far end cannot decode our video and needs a keyframe."""
        if self.video_sender is not None:
            self.video_sender.jump_to_keyframe()

"""Video as load, on a clock of the test's own: short groups of pictures, paced packets, a keyframe when asked."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import cast

import pytest
from held_time import HeldTicker
from media_calls import factory, place, spec, until

from calls.histograms import MsHistogram
from calls.media.dtls.srtp import PacketBuffer
from calls.media.ice.transport import LegTransport
from calls.media.rtp.rtp_header import RtpHeader
from calls.media.video.video_clip import FRAME_RATE, VideoFrame
from calls.media.video.video_sender import VideoSender

FRAME_S = 1 / FRAME_RATE
GROUP = 10
KEYFRAME, FRAME = (
    VideoFrame(True, (b"\x10\x00", b"\x00\x01", b"\x00\x01")),
    VideoFrame(False, (b"\x10\x01", b"\x00\x01")),
)
CLIP = (KEYFRAME, *[FRAME] * (GROUP - 1))


@dataclass(frozen=True)
class Packet:
    at_s: float
    sequence: int
    timestamp: int
    last: bool
    begins_keyframe: bool


class Wire:
    """A sender on a clock of the test, and what it sent."""

    def __init__(self) -> None:
        self.clock, self.packets = HeldTicker(), list[Packet]()
        self._buffer = PacketBuffer(bytearray(2048))
        self._header = RtpHeader(payload_type=96, ssrc=7, abs_send_time_id=3, mid_id=4, mid="1")
        self.sender = VideoSender(
            cast(LegTransport, self),
            self.clock,
            self._buffer,
            self._header,
            CLIP,
            first_sequence=65530,
            first_timestamp=0xFFFFFF00,
            phase=0.25,
            process_lateness=MsHistogram(),
        )
        self.sender.start()

    def send_rtp(self, length: int) -> None:
        data = self._buffer.data
        body = bytes(data[self._header.length : length])
        self.packets.append(
            Packet(
                self.clock.time_s,
                data[2] << 8 | data[3],
                int.from_bytes(data[4:8]),
                bool(data[1] & 0x80),
                body == KEYFRAME.payloads[0],
            )
        )

    def run(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.time_s + seconds)

    def frames(self) -> list[list[Packet]]:
        """The packets by frame."""
        return [list(packets) for _, packets in itertools.groupby(self.packets, lambda packet: packet.timestamp)]


def test_the_packets_of_a_frame_are_spaced_and_frames_keep_their_deadlines() -> None:
    wire = Wire()
    wire.run(3.0)
    frames = wire.frames()[:-1]
    assert len(frames) >= 28
    for number, frame in enumerate(frames):
        assert [packet.last for packet in frame] == [False] * (len(frame) - 1) + [True]
        for before, after in itertools.pairwise(frame):
            assert after.at_s - before.at_s == pytest.approx(0.004)
        assert frame[0].at_s == pytest.approx(frames[0][0].at_s + number * FRAME_S), "pacing shifts no later frame"
        assert frame[0].timestamp == (frames[0][0].timestamp + number * 90_000 // FRAME_RATE) & 0xFFFFFFFF
        assert frame[0].begins_keyframe == (number % GROUP == 0)
    sequences = [packet.sequence for packet in wire.packets]
    assert sequences == [(65530 + number) & 0xFFFF for number in range(len(sequences))]


@pytest.mark.parametrize("after_s", [0.33, 0.52, 0.90])
def test_a_request_brings_a_keyframe_within_one_frame_and_a_new_group_follows(after_s: float) -> None:
    wire = Wire()
    wire.run(after_s)
    asked_at_s, before = wire.clock.time_s, len(wire.packets)
    wire.sender.jump_to_keyframe()
    wire.run(2.0)
    keys = [packet.at_s for packet in wire.packets[before:] if packet.begins_keyframe]
    assert keys[0] - asked_at_s <= FRAME_S
    assert keys[1] - keys[0] == pytest.approx(GROUP * FRAME_S)


def test_a_request_in_the_middle_of_a_frame_lets_it_end_first() -> None:
    wire = Wire()
    wire.run(FRAME_S * 2.25 + 0.001)  # the first packet of a frame has left, its second waits for the pacer
    assert not wire.packets[-1].last
    wire.sender.jump_to_keyframe()
    wire.run(FRAME_S)
    *_, torn, key = wire.frames()
    assert [packet.last for packet in torn] == [False, True]
    assert key[0].begins_keyframe


def test_a_storm_of_requests_is_answered_by_one_keyframe_in_a_while() -> None:
    wire = Wire()
    wire.run(0.33)
    before = len(wire.packets)
    for _ in range(25):
        wire.sender.jump_to_keyframe()
        wire.run(0.01)
    wire.run(0.3)
    assert wire.sender.keyframe_requests == 25
    assert sum(packet.begins_keyframe for packet in wire.packets[before:]) == 1


@pytest.mark.held_time
async def test_a_pli_on_the_wire_is_answered_by_a_keyframe_before_its_turn() -> None:
    """Real RTCP over SRTP from one leg to the other; the answer is told by the frames that come, not by a clock."""
    async with factory() as made:
        call = await place(made, spec(1, media="video"), spec(2, media="video"))
        await until(lambda: call.callee.live().video_frames_received >= 1)
        receiver, sender = call.callee.streams.video_receiver, call.caller.streams.video_sender
        assert receiver is not None
        assert sender is not None
        keys: list[tuple[int, bool]] = []  # the number of each frame that came, and whether it is a keyframe
        sent_when_asked: list[int] = []
        follow, jump = receiver._follow_frame, sender.jump_to_keyframe

        def followed(data: bytearray, start: int, end: int, last: bool) -> None:
            follow(data, start, end, last)
            if last:
                keys.append((call.callee.live().video_frames_received, receiver._frame_is_key))

        def jumped() -> None:
            sent_when_asked.append(call.caller.live().video_frames_sent)
            jump()

        receiver._follow_frame = followed  # type: ignore[method-assign]
        sender.jump_to_keyframe = jumped  # type: ignore[method-assign]
        await until(lambda: [is_key for _, is_key in keys[-3:]] == [True, False, False])
        before = len(keys)
        receiver._ask_keyframe(call.caller.streams.video_ssrc)
        await until(lambda: any(is_key for _, is_key in keys[before:]))
        assert len(sent_when_asked) == 1
        number = next(number for number, is_key in keys[before:] if is_key)
        assert number <= sent_when_asked[0] + 2, "the frame that was on its way ends first, then comes the keyframe"
        await call.close()

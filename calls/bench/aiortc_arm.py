"""Measures stock aiortc as its own examples use it: Opus is encoded and decoded per call, and the track sets the pace.

Two things differ from plain use. Candidates are gathered on loopback only, so that nothing leaves the machine. The time
at which each RTP packet goes to the transport is noted, from which its lateness follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import functools
import itertools
import time
from collections.abc import Awaitable, Callable

import aioice.ice
import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError

from calls.bench.arm_protocol import PacketCounts
from calls.bench.step import Media, SetUps
from calls.engine.health.health import process_cpu_s
from calls.histograms import MsHistogram
from calls.media.audio.speech import speech_pcm

SET_UP_LIMIT_S = 30.0
_RATE = 48_000
_FRAME_SAMPLES = 960
_AT_ONCE = 4
_ADDRESSES = ["127.0.0.1"]
_RTP_PAYLOAD_TYPES_END = 64
"""RFC 5761: payload types from here to 95 are RTCP."""


class SpeechTrack(MediaStreamTrack):
    """20 ms of speech per frame, due at the same times as in aiortc's own AudioStreamTrack."""

    kind = "audio"

    def __init__(self, start_at: int) -> None:
        super().__init__()
        self._pcm = speech_pcm()
        self._at = start_at * 2 * _FRAME_SAMPLES % len(self._pcm)
        self._pts = 0
        self.start_s: float | None = None

    async def recv(self) -> av.AudioFrame:
        """Waits until the next frame is due."""
        if self.start_s is None:
            self.start_s = time.monotonic()
        else:
            self._pts += _FRAME_SAMPLES
            await asyncio.sleep(self.start_s + self._pts / _RATE - time.monotonic())
        frame = av.AudioFrame(format="s16", layout="mono", samples=_FRAME_SAMPLES)
        frame.planes[0].update(self._pcm[self._at : self._at + 2 * _FRAME_SAMPLES])
        self._at = (self._at + 2 * _FRAME_SAMPLES) % len(self._pcm)
        frame.pts, frame.sample_rate, frame.time_base = self._pts, _RATE, fractions.Fraction(1, _RATE)
        return frame


class _Call:
    def __init__(self, lateness: MsHistogram, seed: int) -> None:
        self._lateness = lateness
        self.ends = [RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2)]
        self._tracks = [SpeechTrack(7 * seed + 191 * side) for side in range(2)]
        self._heard = [asyncio.Event() for _ in range(2)]
        self._listening: list[asyncio.Task[None]] = []
        for end, track, heard in zip(self.ends, self._tracks, self._heard, strict=True):
            end.addTrack(track)
            end.on("track", functools.partial(self._listen, heard))

    async def open(self) -> None:
        """Returns when both ends have received audio. Raises TimeoutError after 30 s."""
        caller, callee = self.ends
        async with asyncio.timeout(SET_UP_LIMIT_S):
            await caller.setLocalDescription(await caller.createOffer())
            await callee.setRemoteDescription(caller.localDescription)
            for end, track in zip(self.ends, self._tracks, strict=True):
                self._note_lateness(end, track)
            await callee.setLocalDescription(await callee.createAnswer())
            await caller.setRemoteDescription(callee.localDescription)
            await asyncio.gather(*(heard.wait() for heard in self._heard))

    def _listen(self, heard: asyncio.Event, track: MediaStreamTrack) -> None:
        async def consume() -> None:
            with contextlib.suppress(MediaStreamError):
                while True:
                    await track.recv()
                    heard.set()

        self._listening.append(asyncio.create_task(consume()))

    def _note_lateness(self, end: RTCPeerConnection, track: SpeechTrack) -> None:
        transport = end.getSenders()[0].transport
        plain: Callable[[bytes], Awaitable[None]] = transport._send_rtp
        first_timestamp: int | None = None

        async def send(data: bytes) -> None:
            nonlocal first_timestamp
            if data[1] & 0x7F < _RTP_PAYLOAD_TYPES_END or data[1] & 0x7F > 95:
                timestamp = int.from_bytes(data[4:8])
                if first_timestamp is None:
                    first_timestamp = timestamp
                assert track.start_s is not None
                due_s = track.start_s + ((timestamp - first_timestamp) & 0xFFFFFFFF) / _RATE
                self._lateness.record((time.monotonic() - due_s) * 1000)
            await plain(data)

        transport._send_rtp = send  # type: ignore[method-assign]

    async def close(self) -> None:
        await asyncio.gather(*(end.close() for end in self.ends))
        await asyncio.gather(*self._listening)


class AiortcArm:
    """See ``calls.bench.arm_protocol.Arm``."""

    name = "aiortc"

    def __init__(self, _loop: asyncio.AbstractEventLoop) -> None:
        # aioice skips loopback by itself.
        aioice.ice.get_host_addresses = lambda **_families: _ADDRESSES
        self.lateness = MsHistogram()
        self._calls: list[_Call] = []
        self._seeds = itertools.count()

    async def hold(self, calls: int, media: Media) -> None:
        """Sets up or ends calls until ``calls`` calls are up. Raises TimeoutError."""
        if media != "audio":
            raise NotImplementedError("stock aiortc is measured with audio")
        for call in self._calls[calls:]:
            await call.close()
        self._calls = self._calls[:calls]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def add() -> None:
            async with gate:
                self._calls.append(call := _Call(self.lateness, next(self._seeds)))
                await call.open()

        await asyncio.gather(*(add() for _ in range(calls - len(self._calls))))

    async def counts(self) -> PacketCounts:
        """Returns the totals of the current calls."""
        sent = received = lost = 0
        for call in self._calls:
            for end in call.ends:
                heard, missing = await _heard(end)
                received, lost = received + heard, lost + missing
                for stats in (await end.getSenders()[0].getStats()).values():
                    sent += stats.packetsSent if stats.type == "outbound-rtp" else 0
        return PacketCounts(sent, received, lost)

    async def set_up_and_end(self, seconds: float) -> SetUps:
        """Sets up and ends one call after the other for ``seconds``: stock aiortc gains nothing from several at
        once.
        """
        took_ms: list[float] = []
        cpu_s, wall_s = process_cpu_s(), time.monotonic()
        failed = 0
        while time.monotonic() < wall_s + seconds:
            began_s = time.monotonic()
            call = _Call(self.lateness, next(self._seeds))
            try:
                await call.open()
                took_ms.append((time.monotonic() - began_s) * 1000)
            except TimeoutError:
                failed += 1
            await call.close()
        cpu_s, wall_s = process_cpu_s() - cpu_s, time.monotonic() - wall_s
        return SetUps.of(self.name, took_ms, seconds=wall_s, cpu_s=cpu_s, failed=failed)

    async def close(self) -> None:
        """Ends every call."""
        calls, self._calls = self._calls, []
        await asyncio.gather(*(call.close() for call in calls))


async def _heard(end: RTCPeerConnection) -> tuple[int, int]:
    """Returns (packets received, packets lost)."""
    received = lost = 0
    for receiver in end.getReceivers():
        for stats in (await receiver.getStats()).values():
            if stats.type == "inbound-rtp":
                received, lost = received + stats.packetsReceived, lost + max(0, stats.packetsLost)
    return received, lost

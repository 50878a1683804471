"""Measures our engine's media: each packet is encrypted, sent over a UDP socket, decrypted and counted."""

from __future__ import annotations

import asyncio
import itertools
from typing import cast

from bedrock.clock import Clock
from calls.bench.arm_protocol import PacketCounts
from calls.bench.step import Media, SetUps
from calls.engine.health.health import process_cpu_s
from calls.media.factory import MediaFactory
from calls.media.interface import LegSpec, MediaEvent
from calls.media.leg import Leg
from calls.media.timing.alarm import Alarm, MakeAlarm
from calls.records.record import Tier

SET_UP_LIMIT_S = 30.0
_AT_ONCE = 8
"""Set-ups at the same time while calls are held: few, so that none waits long for its turn."""
_AT_ONCE_FOR_RATE = 32
"""Set-ups at the same time when only set-ups are measured: enough to fill the core, since each waits for ICE timers."""
_AUDIO_KBIT, _PTIME_MS = 24, 20
_ADDRESS = "127.0.0.1"


class _Call:
    """Two legs of one process, joined without any signaling."""

    def __init__(self, factory: MediaFactory, media: Media, seed: int) -> None:
        self._factory = factory
        self._media = media
        self._seed = seed
        self._heard = asyncio.Event()
        self._sides_heard = 0
        self._failed = False
        self.legs: list[Leg] = []

    async def open(self) -> None:
        """Returns when both ends hear each other. Raises TimeoutError when they do not within 30 s."""
        for side in (0, 1):
            spec = LegSpec(Tier.PACKETS, self._media, _ADDRESS, None, _AUDIO_KBIT, _PTIME_MS, 2 * self._seed + side)
            self.legs.append(cast(Leg, await self._factory.open_leg(spec, self._on_event)))
        caller, callee = self.legs
        answer = await callee.accept_offer(await caller.create_offer())
        await caller.accept_answer(answer)
        async with asyncio.timeout(SET_UP_LIMIT_S):
            await self._heard.wait()
        if self._failed:
            raise TimeoutError

    async def close(self) -> None:
        for leg in self.legs:
            leg.end_talk()
        for leg in self.legs:
            await leg.close()

    def _on_event(self, event: MediaEvent, _at_s: float) -> None:
        if event is MediaEvent.FIRST_AUDIO:
            self._sides_heard += 1
        self._failed = self._failed or event is MediaEvent.FAILED
        if self._failed or self._sides_heard == len(self.legs):
            self._heard.set()


class EngineArm:
    """See ``calls.bench.arm_protocol.Arm``."""

    name = "engine"

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, make_alarm: MakeAlarm = Alarm) -> None:
        self._clock = clock
        self._factory = MediaFactory(loop, clock, make_alarm=make_alarm)
        self._calls: list[_Call] = []
        self._media: Media = "audio"
        self._seeds = itertools.count()
        self.lateness = self._factory.lateness

    async def hold(self, calls: int, media: Media) -> None:
        """Sets up or ends calls until ``calls`` calls are up. Raises TimeoutError."""
        surplus = self._calls if media != self._media else self._calls[calls:]
        self._media = media
        self._calls = [call for call in self._calls if call not in surplus]
        for call in surplus:
            await call.close()
        gate = asyncio.Semaphore(_AT_ONCE)

        async def add() -> None:
            async with gate:
                self._calls.append(call := self._new_call())
                await call.open()

        await asyncio.gather(*(add() for _ in range(calls - len(self._calls))))

    async def counts(self) -> PacketCounts:
        """Returns the totals of the current calls."""
        sent = received = lost = 0
        for leg in itertools.chain.from_iterable(call.legs for call in self._calls):
            streams = leg.streams
            sent += streams.packets_sent
            received += streams.packets_received
            heard = (streams.audio_receiver, streams.video_receiver)
            lost += sum(stream.lost for stream in heard if stream is not None) + leg.transport.send_errors
        return PacketCounts(sent, received, lost)

    async def set_up_and_end(self, seconds: float) -> SetUps:
        """Sets up and ends calls, several at once, for ``seconds``."""
        self._media = "audio"
        took_ms: list[float] = []
        failed = 0

        async def repeat_until_end() -> None:
            nonlocal failed
            while self._clock.monotonic_s() < end_s:
                began_s = self._clock.monotonic_s()
                call = self._new_call()
                try:
                    await call.open()
                    took_ms.append((self._clock.monotonic_s() - began_s) * 1000)
                except TimeoutError:
                    failed += 1
                await call.close()

        cpu_s, wall_s = process_cpu_s(), self._clock.monotonic_s()
        end_s = wall_s + seconds
        await asyncio.gather(*(repeat_until_end() for _ in range(_AT_ONCE_FOR_RATE)))
        cpu_s, wall_s = process_cpu_s() - cpu_s, self._clock.monotonic_s() - wall_s
        return SetUps.of(self.name, took_ms, seconds=wall_s, cpu_s=cpu_s, failed=failed)

    async def close(self) -> None:
        """Ends every call."""
        self._calls.clear()
        await self._factory.close()

    def _new_call(self) -> _Call:
        return _Call(self._factory, self._media, next(self._seeds))

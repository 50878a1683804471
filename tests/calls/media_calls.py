"""Two legs of one process that call each other over loopback, for the tests of the media engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from held_time import time_of
from waiting import HANG_LIMIT_S, POLL_S

from calls.media.access_link import AccessLink
from calls.media.factory import MediaFactory
from calls.media.ice.transport import ConnectLimits
from calls.media.interface import LegSpec, MediaEvent, MediaLeg, MediaStats
from calls.media.leg import Leg
from calls.media.timing.ticker import Ticker
from calls.records.record import Tier
from network_profiles.model.profile import NetworkProfile, Sources

SOURCES = Sources(
    rate_kbit="test",
    owd_ms="test",
    jitter_ms="test",
    loss_ratio="test",
    loss_burst_packets="test",
    queue_ms="test",
)

PATIENT = ConnectLimits(ice_s=HANG_LIMIT_S, dtls_s=HANG_LIMIT_S)
"""For legs that are to connect, however long the machine takes."""


@dataclass
class Ear:
    """What one leg told."""

    events: dict[MediaEvent, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: MediaEvent, at_s: float) -> None:
        self.events[event] = at_s
        self.changed.set()

    async def wait(self, event: MediaEvent) -> None:
        async with asyncio.timeout(HANG_LIMIT_S):
            while event not in self.events:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def factory(limits: ConnectLimits = PATIENT) -> AsyncIterator[MediaFactory]:
    """A factory that leaves no task behind; its time is the loop's, held by the test or the machine's."""
    before = asyncio.all_tasks()
    loop = asyncio.get_running_loop()
    clock, make_alarm = time_of(loop)
    made = MediaFactory(loop, clock, limits=limits, make_alarm=make_alarm)
    try:
        yield made
    finally:
        await made.close()
        assert asyncio.all_tasks() - before == set()


def spec(seed: int = 1, **changes: object) -> LegSpec:
    """An order for a plain audio leg on loopback."""
    values: dict[str, object] = {
        "tier": Tier.PACKETS,
        "media": "audio",
        "bind_address": "127.0.0.1",
        "access_link": None,
        "audio_kbit": 24,
        "ptime_ms": 20,
        "seed": seed,
        **changes,
    }
    return LegSpec(**values)  # type: ignore[arg-type]


def link_of(made: MediaFactory, seed: int = 1, **numbers: float | None) -> AccessLink:
    """An access link with the same numbers in both directions, on the factory's time."""
    return link_on(made.ticker, seed, **numbers)


def link_on(ticker: Ticker, seed: int = 1, **numbers: float | None) -> AccessLink:
    """An access link with the same numbers in both directions, on the time of ``ticker``."""
    direction = {"owd_ms": 0.0, "queue_ms": 1000.0, **numbers}
    profile = NetworkProfile.model_validate(
        {
            "id": "made_for_test",
            "title": "Test",
            "generation": "3g",
            "up": direction,
            "down": direction,
            "source": SOURCES,
        }
    )
    return AccessLink(profile, seed, ticker)


@dataclass
class Call:
    """Both legs and what they told."""

    caller: Leg
    callee: Leg
    caller_ear: Ear
    callee_ear: Ear

    async def both_hear(self) -> None:
        await self.caller_ear.wait(MediaEvent.FIRST_AUDIO)
        await self.callee_ear.wait(MediaEvent.FIRST_AUDIO)

    async def close(self) -> tuple[MediaStats, MediaStats]:
        self.caller.end_talk()
        self.callee.end_talk()
        return await self.caller.close(), await self.callee.close()


async def place(made: MediaFactory, caller_spec: LegSpec | None = None, callee_spec: LegSpec | None = None) -> Call:
    """Joins two legs without any signaling."""
    caller_ear, callee_ear = Ear(), Ear()
    caller = await open_leg(made, caller_spec or spec(1), caller_ear)
    callee = await open_leg(made, callee_spec or spec(2), callee_ear)
    await caller.accept_answer(await callee.accept_offer(await caller.create_offer()))
    return Call(caller, callee, caller_ear, callee_ear)


async def open_leg(made: MediaFactory, order: LegSpec, ear: Ear) -> Leg:
    leg: MediaLeg = await made.open_leg(order, ear)
    assert isinstance(leg, Leg)
    return leg


async def until(condition: Callable[[], object]) -> None:
    """Waits for ``condition()`` by the loop's time, and fails when it never holds: a leg's counters tell no event."""
    async with asyncio.timeout(HANG_LIMIT_S):
        while not condition():  # noqa: ASYNC110 -- see above
            await asyncio.sleep(POLL_S)

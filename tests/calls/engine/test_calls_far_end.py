"""The engine as the far end of a browser: a scripted caller that does what a page does inside a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from calls_world import PASSWORD, Driver, Service, wait_for
from media_calls import PATIENT
from waiting import HANG_LIMIT_S

from bedrock.clock import SystemClock
from calls.bridge.messages import PersonSnapshot, Snapshot
from calls.call.call_rules import SignalType
from calls.media.factory import MediaFactory
from calls.media.interface import LegSpec, MediaEvent, MediaLeg
from calls.records.record import Outcome, Stage, Tier
from calls.targets.protocol import Signal
from calls.targets.reference import ReferenceTarget
from calls.targets.reference_session import ReferenceSession

pytestmark = pytest.mark.integration


class Page:
    """A caller in this process."""

    def __init__(self, media: MediaFactory) -> None:
        self.session: ReferenceSession
        self.leg: MediaLeg
        self.offer = ""
        self._media = media
        self._signals: asyncio.Queue[Signal] = asyncio.Queue()
        self._heard = asyncio.Event()

    def on_signal(self, signal: Signal) -> None:
        self._signals.put_nowait(signal)

    def on_resuming(self, call_id: str) -> None:
        raise AssertionError(f"the page lost its service, and resumes {call_id}")

    def on_garbage(self, what: str) -> None:
        raise AssertionError(f"the page got garbage: {what}")

    def on_lost(self) -> None:
        raise AssertionError("the page lost its service")

    async def hears(self, what: SignalType) -> Signal:
        async with asyncio.timeout(HANG_LIMIT_S):
            while (signal := await self._signals.get()).what is not what:
                pass
        return signal

    async def call(self, to: str, media: str, *, audio_kbit: int = 24, ptime_ms: int = 20) -> Signal:
        """Returns the answer, once audio is heard."""

        def on_media(event: MediaEvent, _at_s: float) -> None:
            if event is MediaEvent.FIRST_AUDIO:
                self._heard.set()

        self.leg = await self._media.open_leg(
            LegSpec(Tier.PACKETS, media, "127.0.0.1", None, audio_kbit, ptime_ms, 1), on_media
        )
        self.offer = await self.leg.create_offer()
        self.session.invite("c-1", to, media, self.offer)
        answer = await self.hears(SignalType.ANSWERED)
        await self.leg.accept_answer(answer.sdp)
        await asyncio.wait_for(self._heard.wait(), HANG_LIMIT_S)
        return answer


@pytest.fixture
async def far_end(tmp_path: Path) -> AsyncIterator[tuple[Page, Driver]]:
    service = await asyncio.to_thread(Service, tmp_path)
    # The parent-death signal is tied to the thread that spawns, so the engine starts from this one.
    engine = Driver(tmp_path, "matrix-0", service.url, role="matrix_engine")
    target = ReferenceTarget(service.url, SystemClock())
    media = MediaFactory(asyncio.get_running_loop(), SystemClock(), limits=PATIENT)
    page = Page(media)
    try:
        await asyncio.to_thread(service.seed, "page", "peer")
        await asyncio.to_thread(engine.sign_in, "peer", link="gprs_2g", cell="d--gprs_2g--video", attempt=3)
        page.session = await target.sign_in("page", PASSWORD, page, None, HANG_LIMIT_S)
        yield page, engine
        await page.session.close()
    finally:
        await media.close()
        await target.close()
        await asyncio.to_thread(engine.close)
        await asyncio.to_thread(service.process.stop)


async def seen(engine: Driver, good: Callable[[PersonSnapshot], bool]) -> PersonSnapshot:
    """Asks the engine until its person's call is as wanted."""

    def ask() -> PersonSnapshot | None:
        snapshot: PersonSnapshot = engine.client.request(Snapshot(name="peer"), HANG_LIMIT_S)
        return snapshot if good(snapshot) else None

    found: PersonSnapshot = await asyncio.to_thread(wait_for, ask)
    return found


async def test_the_engine_drops_video_when_the_page_says_so_and_writes_when(far_end: tuple[Page, Driver]) -> None:
    page, engine = far_end
    answer = await page.call("peer", "video")
    assert answer.media == "video"
    now = await seen(engine, lambda seen: seen.video_frames_received > 5 and seen.video_frames_sent > 5)
    assert (now.media, now.peer_media) == ("video", "")
    page.session.want_media("c-1", "audio", "network")
    now = await seen(engine, lambda seen: seen.peer_media == "audio")
    assert now.media == "audio"
    page.session.want_media("c-1", "low_audio", "network")
    await seen(engine, lambda seen: seen.peer_media == "low_audio")
    page.session.hang_up("c-1")
    await page.hears(SignalType.ENDED)
    leg = await asyncio.to_thread(engine.callee_leg, "c-1")
    assert (leg.outcome, leg.stage, leg.media, leg.fell_back_to) == (
        Outcome.COMPLETED,
        Stage.ENDED,
        "video",
        "low_audio",
    )
    assert leg.first_audio_at_s is not None
    assert leg.fell_back_at_s is not None
    assert leg.first_audio_at_s < leg.fell_back_at_s < leg.ended_at_s
    assert (leg.source, leg.cell, leg.attempt, leg.network, leg.generation) == (
        "matrix",
        "d--gprs_2g--video",
        3,
        "gprs_2g",
        "2g",
    )


async def test_the_engine_answers_an_offer_inside_the_call(far_end: tuple[Page, Driver]) -> None:
    page, engine = far_end
    await page.call("peer", "video")
    await seen(engine, lambda seen: seen.media == "video")
    sections = page.offer.split("m=video")
    fallback = sections[0] + "m=video" + sections[1].replace("a=sendrecv", "a=inactive")
    page.session._say("call.reoffer", call_id="c-1", media="audio", sdp=fallback, reason="network")
    answer = await page.hears(SignalType.REANSWER)
    assert answer.media == "audio"
    assert "a=inactive" in answer.sdp.split("m=video")[1]
    now = await seen(engine, lambda seen: seen.media == "audio")
    assert now.state == "talking"
    page.session.hang_up("c-1")
    await page.hears(SignalType.ENDED)
    leg = await asyncio.to_thread(engine.callee_leg, "c-1")
    assert (leg.outcome, leg.fell_back_to) == (Outcome.COMPLETED, "audio")


async def test_the_engine_obeys_a_page_that_asks_for_low_audio(far_end: tuple[Page, Driver]) -> None:
    page, engine = far_end
    await page.call("peer", "audio", audio_kbit=12, ptime_ms=60)
    now = await seen(engine, lambda seen: seen.packets_received > 5)
    assert (now.asked_ptime_ms, now.asked_audio_kbit) == (60, 12)
    assert (now.sending_ptime_ms, now.sending_audio_kbit) == (60, 12)
    page.session.hang_up("c-1")
    await page.hears(SignalType.ENDED)


async def test_an_offer_that_cannot_be_used_ends_the_call_with_the_right_reason(far_end: tuple[Page, Driver]) -> None:
    page, engine = far_end
    page.session.invite("c-9", "peer", "audio", "this is no description")
    ended = await page.hears(SignalType.ENDED)
    assert ended.code == "declined"
    leg = await asyncio.to_thread(engine.callee_leg, "c-9")
    assert (leg.outcome, leg.reason, leg.blame) == (Outcome.FAILED, "bad_offer", "target")

"""The media of one leg as its call drives them: opened, described, changed inside the call, put on hold, closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from calls.engine.context import Context
from calls.engine.leg_owner import LegOwner
from calls.engine.records.leg_record import LegFacts
from calls.engine.scripts.acting_leg import DesiredMedia
from calls.media.errors import BadDescription, MediaError
from calls.media.interface import LegSpec, LiveStats, MediaEvent, MediaLeg, MediaStats
from calls.records.record import Side
from calls.scenarios import Act, Scenario
from calls.targets.protocol import Signal

logger = logging.getLogger(__name__)

_STEP_S = 10.0
"""Making a description takes milliseconds; a step that takes so long is stuck."""
AUDIO_KBIT, AUDIO_PTIME_MS = 24, 20
LOW_AUDIO_KBIT, LOW_AUDIO_PTIME_MS = 12, 60
ResultT = TypeVar("ResultT")


class StepFailed(Exception):
    """A step of the media failed; carries the reason code for the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LegMedia:
    """Made with the call's leg; has a ``MediaLeg`` from ``open`` on, and for good."""

    def __init__(
        self,
        context: Context,
        person: LegOwner,
        facts: LegFacts,
        scenario: Scenario | None,
        on_event: Callable[[MediaEvent, float], None],
    ) -> None:
        self.leg: MediaLeg | None = None
        self.peer_media = ""
        """What the far end sends, as it said last."""
        self.low_audio = person.low_audio
        """This side asks for and sends a low bitrate in long frames: from the start, or since it stepped down."""
        self.desired = DesiredMedia(video=facts.media == "video" and not person.low_audio)
        self._context = context
        self._person = person
        self._facts = facts
        self._moves = scenario is not None and Act.MOVE in scenario.acts
        self._on_event = on_event
        self._early_candidates: list[Signal] = []
        self._held_since_s: float | None = None
        self._muted_since_s: float | None = None
        self._asks_kbit = 0

    @property
    def is_moving(self) -> bool:
        """Whether a side has left its network and the far end was not heard again yet."""
        return self.leg is not None and self.leg.is_moving

    def live(self) -> LiveStats | None:
        """Returns the figures of this moment; None before there is media."""
        return self.leg.live() if self.leg is not None else None

    def audio_target_kbit(self, live: LiveStats) -> float:
        """Returns the rate that the far end encodes for: what we ask for, or less when it is poor itself."""
        return min(self._asks_kbit, live.asked_audio_kbit or self._asks_kbit)

    async def open(self, media: str) -> MediaLeg:
        """Returns the new leg. Raises StepFailed."""
        spec, low = self._person.spec, self._person.low_audio
        order = LegSpec(
            tier=spec.tier,
            media="audio" if low else media,
            bind_address=spec.media_address,
            access_link=self._person.link,
            audio_kbit=LOW_AUDIO_KBIT if low else AUDIO_KBIT,
            ptime_ms=LOW_AUDIO_PTIME_MS if low else AUDIO_PTIME_MS,
            seed=self._context.random_of("media", self._facts.call_id, self._facts.side).getrandbits(32),
            talk_spurts=self._context.configure.talk_spurts,
            call_id=self._facts.call_id,
            is_caller=self._facts.side is Side.CALLER,
            moves_are_planned=self._moves,
            link_is_rough=self._facts.link_is_rough,
        )
        self._asks_kbit = order.audio_kbit
        if low:
            self._facts.fall_back("low_audio", self._now_s())
        self.leg = await self.step(self._context.media.open_leg(order, self._on_event), "bind_failed")
        return self.leg

    async def step(self, work: Awaitable[ResultT], reason: str) -> ResultT:
        """Returns what ``work`` returns. Raises StepFailed: ``reason`` for a bad description, else a fault of ours."""
        try:
            async with asyncio.timeout(_STEP_S):
                return await work
        except BadDescription as error:
            logger.warning("%s: %s: %s", self._facts.call_id, reason, error)
            raise StepFailed(reason) from None
        except (MediaError, TimeoutError, OSError) as error:
            self._context.shortage.notice(error)
            logger.warning("%s: media: %s", self._facts.call_id, error)
            raise StepFailed(reason if reason == "bind_failed" else "media_error") from None

    async def take_candidate(self, signal: Signal) -> None:
        """Takes a trickled candidate; keeps it while nothing is answered. Raises StepFailed."""
        if self.leg is None or self._facts.answered_at_s is None:
            self._early_candidates.append(signal)
        else:
            candidate = dict(signal.candidate) if signal.candidate is not None else None
            await self.step(self.leg.add_candidate(candidate), "bad_candidate")

    async def take_early_candidates(self) -> None:
        """Takes what came before the answer. Raises StepFailed."""
        early, self._early_candidates = self._early_candidates, []
        for signal in early:
            await self.take_candidate(signal)

    async def take_reoffer(self, signal: Signal, *, gives_way: bool) -> None:
        """Answers an offer inside the call; ``gives_way``: ours, which is open, is taken back. Raises StepFailed."""
        if self.leg is None:
            return
        if gives_way:
            self.leg.take_back_offer()
        sdp = await self.step(self.leg.reaccept_offer(signal.sdp), "bad_reoffer")
        self._note_hold()
        self.note_peer_media(signal.media)
        session, call_id = self._person.session, self._facts.call_id
        session.reanswer(call_id, self.leg.live().media, sdp)
        if signal.media == "video" and self.low_audio:
            self.leg.set_video_sending(False)
            session.want_media(call_id, "low_audio", "poor network")

    async def take_reanswer(self, signal: Signal) -> None:
        """Takes the answer to our offer inside the call. Raises StepFailed."""
        if self.leg is not None:
            await self.step(self.leg.accept_reanswer(signal.sdp), "bad_reanswer")
            self._note_hold()
            self.note_peer_media(signal.media)

    def obey(self, signal: Signal) -> None:
        """The far end said what it sends and wants from now on."""
        self.note_peer_media(signal.media)
        if self.leg is not None and not self.low_audio:
            self.leg.set_video_sending(signal.media == "video")

    def note_peer_media(self, media: str) -> None:
        """The far end sends ``media`` from now on."""
        self.peer_media = media
        less_than_asked = media == "low_audio" or (media == "audio" and self._facts.media == "video")
        if less_than_asked and self._facts.fell_back_to != "low_audio":
            self._facts.fall_back(media, self._now_s())

    def step_down(self) -> bool:
        """Asks for less, and sends less itself; returns whether that is news for the far end, due in an offer."""
        if self.low_audio or self.leg is None:
            return False
        self.low_audio, self.desired.video = True, False
        self._asks_kbit = LOW_AUDIO_KBIT
        self.leg.ask_for(LOW_AUDIO_KBIT, LOW_AUDIO_PTIME_MS)
        self._facts.fall_back("low_audio", self._now_s())
        self._person.session.want_media(self._facts.call_id, "low_audio", "slow network")
        self.leg.set_video_sending(False)
        return True

    def mute(self, *, on: bool) -> None:
        """Silences this side's person, or lets them speak again."""
        now_s = self._context.clock.monotonic_s()
        if self.leg is not None:
            self.leg.set_muted(on)
        if self._muted_since_s is not None:
            self._facts.muted_s += now_s - self._muted_since_s
        self._muted_since_s = now_s if on else None

    def end_talk(self) -> None:
        """The intended end: nothing after it counts."""
        if self.leg is not None:
            self.leg.end_talk()

    async def close(self) -> MediaStats | None:
        """Returns the figures, None when there never was media."""
        self._note_hold()
        self.mute(on=False)
        if self.leg is None:
            return None
        self._facts.audio_target_kbit = self.audio_target_kbit(self.leg.live())
        return await self.leg.close()

    def _note_hold(self) -> None:
        now_s = self._context.clock.monotonic_s()
        if self._held_since_s is not None:
            self._facts.held_s += now_s - self._held_since_s
        self._held_since_s = now_s if self.leg is not None and self.leg.on_hold else None

    def _now_s(self) -> float:
        return self._context.clock.unix_s()

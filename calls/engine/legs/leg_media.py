"""Controls the media of one leg: opens it, exchanges descriptions, changes, holds and closes it."""

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
from calls.scenarios import Scenario, ScenarioAction
from calls.targets.protocol import Signal

logger = logging.getLogger(__name__)

_STEP_S = 10.0
"""A description takes milliseconds; a step that takes this long is stuck."""
AUDIO_KBIT, AUDIO_PTIME_MS = 24, 20
LOW_AUDIO_KBIT, LOW_AUDIO_PTIME_MS = 12, 60
ResultT = TypeVar("ResultT")


class StepFailed(Exception):
    """A media step failed; carries the reason code for the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LegMedia:
    """Created with the leg. Has a ``MediaLeg`` from ``open`` on."""

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
        """The kind of media that the far end sends, as it said last."""
        self.low_audio = person.low_audio
        """This side requests and sends a low bitrate in long frames, from the start or since ``reduce_bitrate``."""
        self.desired = DesiredMedia(video=facts.media == "video" and not person.low_audio)
        self._context = context
        self._person = person
        self._facts = facts
        self._moves = scenario is not None and ScenarioAction.MOVE in scenario.actions
        self._on_event = on_event
        self._early_candidates: list[Signal] = []
        self._held_since_s: float | None = None
        self._muted_since_s: float | None = None
        self._requested_kbit = 0

    @property
    def is_moving(self) -> bool:
        """Whether a side has left its network and no audio has arrived on the new path yet."""
        return self.leg is not None and self.leg.is_moving

    def live(self) -> LiveStats | None:
        """Returns the current figures; None before there is media."""
        return self.leg.live() if self.leg is not None else None

    def audio_target_kbit(self, live: LiveStats) -> float:
        """Returns the rate that the far end encodes for: what we request, or less when its own link is poor."""
        return min(self._requested_kbit, live.asked_audio_kbit or self._requested_kbit)

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
            link_unreliable=self._facts.link_unreliable,
        )
        self._requested_kbit = order.audio_kbit
        if low:
            self._facts.fall_back("low_audio", self._now_s())
        self.leg = await self.step(self._context.media.open_leg(order, self._on_event), "bind_failed")
        return self.leg

    async def step(self, work: Awaitable[ResultT], reason: str) -> ResultT:
        """Returns the result of ``work``. Raises StepFailed with ``reason`` for a bad description, else
        ``media_error``.
        """
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

    async def add_candidate(self, signal: Signal) -> None:
        """Adds a trickled candidate, or keeps it until the call is answered. Raises StepFailed."""
        if self.leg is None or self._facts.answered_at_s is None:
            self._early_candidates.append(signal)
        else:
            candidate = dict(signal.candidate) if signal.candidate is not None else None
            await self.step(self.leg.add_candidate(candidate), "bad_candidate")

    async def add_early_candidates(self) -> None:
        """Adds the candidates that arrived before the answer. Raises StepFailed."""
        early, self._early_candidates = self._early_candidates, []
        for signal in early:
            await self.add_candidate(signal)

    async def answer_reoffer(self, signal: Signal, *, gives_way: bool) -> None:
        """Answers an offer inside the call. ``gives_way``: our open offer is rolled back first. Raises StepFailed."""
        if self.leg is None:
            return
        if gives_way:
            self.leg.rollback_offer()
        sdp = await self.step(self.leg.reaccept_offer(signal.sdp), "bad_reoffer")
        self._note_hold()
        self.note_peer_media(signal.media)
        session, call_id = self._person.session, self._facts.call_id
        session.reanswer(call_id, self.leg.live().media, sdp)
        if signal.media == "video" and self.low_audio:
            self.leg.set_video_sending(False)
            session.want_media(call_id, "low_audio", "poor network")

    async def apply_reanswer(self, signal: Signal) -> None:
        """Applies the answer to our offer inside the call. Raises StepFailed."""
        if self.leg is not None:
            await self.step(self.leg.accept_reanswer(signal.sdp), "bad_reanswer")
            self._note_hold()
            self.note_peer_media(signal.media)

    def apply_peer_media(self, signal: Signal) -> None:
        """Applies what the far end says that it sends and wants from now on."""
        self.note_peer_media(signal.media)
        if self.leg is not None and not self.low_audio:
            self.leg.set_video_sending(signal.media == "video")

    def note_peer_media(self, media: str) -> None:
        """Notes that the far end sends ``media`` from now on."""
        self.peer_media = media
        less_than_asked = media == "low_audio" or (media == "audio" and self._facts.media == "video")
        if less_than_asked and self._facts.fell_back_to != "low_audio":
            self._facts.fall_back(media, self._now_s())

    def reduce_bitrate(self) -> bool:
        """Requests and sends a lower bitrate; returns whether a new offer must tell the far end."""
        if self.low_audio or self.leg is None:
            return False
        self.low_audio, self.desired.video = True, False
        self._requested_kbit = LOW_AUDIO_KBIT
        self.leg.set_audio_rate(LOW_AUDIO_KBIT, LOW_AUDIO_PTIME_MS)
        self._facts.fall_back("low_audio", self._now_s())
        self._person.session.want_media(self._facts.call_id, "low_audio", "slow network")
        self.leg.set_video_sending(False)
        return True

    def mute(self, *, on: bool) -> None:
        """Mutes or unmutes this side."""
        now_s = self._context.clock.monotonic_s()
        if self.leg is not None:
            self.leg.set_muted(on)
        if self._muted_since_s is not None:
            self._facts.muted_s += now_s - self._muted_since_s
        self._muted_since_s = now_s if on else None

    def end_talk(self) -> None:
        """Marks the intended end; later packets do not count."""
        if self.leg is not None:
            self.leg.end_talk()

    async def close(self) -> MediaStats | None:
        """Returns the figures; None when there never was media."""
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

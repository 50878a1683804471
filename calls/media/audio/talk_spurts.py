"""Decides who talks when: artificial conversational speech after ITU-T P.59 (03/1993), the same for both sides.

Two people take turns through four states: one talks, the other talks, both talk, nobody talks. Each state lasts for a
time drawn from an exponential distribution: mean 0.854 s for one talker, 0.226 s for both, 0.456 s for neither (P.59,
2.2). After one talker, both talk with 40 %, else neither. After both or neither, one talker follows, 50 % for each
side. The model gives talk spurts of about 1.03 s that fill 42 % of the time; both talk in 7 %, neither in 22 %. P.59's
own measured averages (Table 1) are 1.004 s, 38.5 %, 6.6 % and 22.5 %. A spurt of P.59 includes the hangover of a voice
detector, so none is added here.

The numbers were checked against three independent implementations of P.59. The load test of jitsi/jitsi-meet-torture
(``MalleusJitsificus``) has 854, 226 and 456 ms. An ns-2 source of two-way VoIP (``VoipBidirectionalItuP59``) has Table
1's 1.004, 0.228 and 0.508 s. The sample generator of a telephony tester has all of them, Table 1's pause of 1.587 s,
and probabilities of 40, 50 and 50 %. Two of these also prolong silences below 0.2 s. We do not: it makes neither side
talk for 26 to 30 % of the time, where Table 1 has 22.5 % and we have 22 %.

A conversation is drawn from the call's id and repeats after ``LOOP_S`` of Unix time. So two engines that never
communicated produce the same conversation, each for its side.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
import zlib
from collections.abc import Callable

from calls.media.audio.audio_source import AudioSource
from calls.media.audio.clips import AudioClip, silence

LOOP_S = 120.0
SINGLE_TALK_S, DOUBLE_TALK_S, MUTUAL_SILENCE_S = 0.854, 0.226, 0.456
DOUBLE_TALK_CHANCE = 0.4
COMFORT_S = 0.4
"""A silent sender refreshes the far end's comfort noise at this interval: libopus's own in DTX (RFC 7587, 3.1.3)."""
_ROUNDING_S = 1e-6


class Conversation:
    """The talk of one call. ``talks(side, unix_s)`` is for the caller (0) and the callee (1)."""

    def __init__(self, call_id: str) -> None:
        self._ends: tuple[list[float], list[float]] = ([], [])
        """By side: times within the loop at which it starts to talk, stops, starts again, and so on."""
        talkers = _draw(random.Random(zlib.crc32(call_id.encode())))
        begun = [False, False]
        at_s = 0.0
        for state, lasts_s in talkers:
            for side in (0, 1):
                if (side in state) != begun[side]:
                    begun[side] = side in state
                    self._ends[side].append(at_s)
            at_s += lasts_s

    def talks(self, side: int, unix_s: float) -> bool:
        """Returns whether ``side`` talks at this moment."""
        return bisect.bisect_right(self._ends[side], unix_s % LOOP_S) % 2 == 1


def _draw(rng: random.Random) -> list[tuple[frozenset[int], float]]:
    """Returns one loop of (who talks, for how many seconds)."""
    drawn = []
    state = frozenset({rng.randrange(2)})
    at_s = 0.0
    while at_s < LOOP_S:
        mean_s = (MUTUAL_SILENCE_S, SINGLE_TALK_S, DOUBLE_TALK_S)[len(state)]
        lasts_s = -mean_s * math.log(1.0 - rng.random())
        drawn.append((state, lasts_s))
        at_s += lasts_s
        if len(state) == 1:
            state = frozenset({0, 1}) if rng.random() < DOUBLE_TALK_CHANCE else frozenset()
        else:
            state = frozenset({rng.randrange(2)})
    return drawn


class SpurtSource(AudioSource):
    """Sends a shared clip while its side talks, and one frame of comfort noise every COMFORT_S while it is silent."""

    def __init__(
        self, clip: AudioClip, start_at: int, conversation: Conversation, side: int, unix_of: Callable[[float], float]
    ) -> None:
        """``unix_of`` converts the monotonic seconds of a deadline to Unix seconds."""
        super().__init__(clip.ptime_ms, clip.kbit)
        self._payloads = itertools.islice(itertools.cycle(clip.payloads), start_at % len(clip.payloads), None)
        self._comfort = silence(clip.ptime_ms, clip.kbit)
        self._conversation, self._side, self._unix_of = conversation, side, unix_of
        self._comfort_due_s = 0.0
        self._silent = False

    def payload(self, due_s: float) -> bytes:
        """Returns the frame that is due now, empty when none is sent. ``starts_spurt`` sets its marker bit."""
        talks = self._conversation.talks(self._side, self._unix_of(due_s))
        self.starts_spurt = talks and self._silent
        if talks:
            self._silent = False
            return next(self._payloads)
        if not self._silent:
            self._silent, self._comfort_due_s = True, due_s
        if due_s < self._comfort_due_s - _ROUNDING_S:
            return b""
        self._comfort_due_s += COMFORT_S
        return self._comfort

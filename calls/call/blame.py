"""Whose fault a failed call is: one table from reasons and evidence to blame.

Read from the top, the first row that fits decides. "Link" is this leg's own access link.

| reason                                             | evidence                              | blame     |
|----------------------------------------------------|---------------------------------------|-----------|
| engine_stopped, media_error, bind_failed,          |                                       | generator |
|   answer_timeout, refused_unknown_user             |                                       |           |
| answer_lost, illegal_*, bad_offer, bad_answer,     |                                       | target    |
|   bad_reoffer, bad_reanswer, garbage,              |                                       |           |
|   dropped_by_service, error_*,                     |                                       |           |
|   refused_* (but unknown_user, offline)            |                                       |           |
| peer_lost                                          | the far end is one of our engines     | generator |
| invite_timeout, no_routing, ring_timeout,          | the link had an outage, its queue ran | network   |
|   signaling_lost, reoffer_timeout, resume_timeout, |   over, or it held a packet for 5 s   |           |
|   hangup_unconfirmed, cancel_unconfirmed           | anything else                         | target    |
| reoffer_timeout, besides                           | the far end says its link is rough    | unknown   |
| ice_*, dtls_*, no_audio, audio_died, gap,          | our socket refused or dropped packets | generator |
|   consent_lost, peer_closed                        | our packets left late                 | generator |
|                                                    | the link dropped packets, or held one | network   |
|                                                    |   for 2 s                             |           |
| no_ringing                                         | as for invite_timeout                 | network   |
| everything else                                    | the service broke the rules of a call | target    |
|                                                    | anything else                         | unknown   |

A call that one leg calls ``unknown`` often has its culprit in the other leg's row: an answer that the service lost is
``ice_timeout, unknown`` for the callee, who waits in vain, and ``answer_lost, target`` for the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

from calls.records.record import Blame

LATE_MS = 40.0
"""Two frames of 20 ms: packets that leave later than this are heard as a gap that the generator made."""

STALLED_MEDIA_MS = 2000.0
"""A packet of media that a link held for so long is a silence by itself."""
STALLED_SIGNALING_MS = 5000.0
"""Longer than any queue: the link stood still."""

_GENERATOR = frozenset({"engine_stopped", "media_error", "bind_failed", "answer_timeout", "refused_unknown_user"})
_TARGET = frozenset(
    {"answer_lost", "bad_offer", "bad_answer", "bad_reoffer", "bad_reanswer", "dropped_by_service", "garbage"}
)
_TARGET_PREFIXES = ("illegal_", "error_", "refused_")
_SIGNALING = frozenset(
    {
        "invite_timeout",
        "no_routing",
        "ring_timeout",
        "signaling_lost",
        "reoffer_timeout",
        "resume_timeout",
        "hangup_unconfirmed",
        "cancel_unconfirmed",
    }
)
_MEDIA = frozenset({"no_audio", "audio_died", "gap", "consent_lost", "peer_closed"})


@dataclass(frozen=True, slots=True)
class BlameEvidence:
    """What is known of a leg's surroundings when it ends."""

    send_errors: int = 0
    send_late_p99_ms: float = 0.0
    link_lost: int = 0
    link_queue_dropped: int = 0
    link_outage_dropped: int = 0
    link_max_delay_ms: float = 0.0
    """The longest that this leg's access link kept a packet under way."""
    peer_link_unreliable: bool = False
    """The far end says that calls may break on its access link."""
    max_gap_ms: float | None = None
    peer_is_ours: bool = False
    """The far end runs in one of our own engines, so only we can lose it."""

    @property
    def link_dropped(self) -> int:
        """Packets that this leg's access link dropped, for whatever cause."""
        return self.link_lost + self.link_queue_dropped + self.link_outage_dropped

    @property
    def link_stalled(self) -> bool:
        """Whether for a while nothing passed this leg's access link, or nothing found room on it."""
        return self.link_outage_dropped + self.link_queue_dropped > 0 or self.link_max_delay_ms > STALLED_SIGNALING_MS


def blame_of(reason: str, evidence: BlameEvidence) -> Blame:
    """Returns whose fault a failure for ``reason`` is."""
    blame = Blame.UNKNOWN
    if reason == "refused_offline":
        return blame
    if reason in _GENERATOR or (reason == "peer_lost" and evidence.peer_is_ours):
        blame = Blame.GENERATOR
    elif reason in _TARGET or reason.startswith(_TARGET_PREFIXES):
        blame = Blame.TARGET
    elif reason == "reoffer_timeout" and evidence.peer_link_unreliable and not evidence.link_stalled:
        return blame
    elif reason in _SIGNALING:
        blame = Blame.NETWORK if evidence.link_stalled else Blame.TARGET
    elif reason in _MEDIA or reason.startswith(("ice_", "dtls_")):
        blame = _blame_of_media(evidence)
    elif reason == "no_ringing" and evidence.link_stalled:
        blame = Blame.NETWORK
    return blame


def blame_of_list(reason: str, link_drops: int) -> Blame:
    """Returns whose fault it is that a list of the app did not come.

    ``link_drops`` is what the person's access link has dropped meanwhile: what a service sent may be stuck behind it.
    """
    return Blame.NETWORK if link_drops and reason in ("no_reply", "signaling_lost") else Blame.TARGET


def _blame_of_media(evidence: BlameEvidence) -> Blame:
    if evidence.send_errors or evidence.send_late_p99_ms > LATE_MS:
        return Blame.GENERATOR
    return Blame.NETWORK if evidence.link_dropped or evidence.link_max_delay_ms > STALLED_MEDIA_MS else Blame.UNKNOWN

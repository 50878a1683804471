"""Decides whose fault a failed call is, from its reason and the evidence.

The first row of this table that fits decides. "Link" is this leg's own access link.

| reason                                             | evidence                              | blame     |
|----------------------------------------------------|---------------------------------------|-----------|
| engine_stopped, media_error, bind_failed,          |                                       | generator |
|   answer_timeout, refused_unknown_user             |                                       |           |
| answer_lost, illegal_*, bad_offer, bad_answer,     |                                       | target    |
|   bad_reoffer, bad_reanswer, garbage,              |                                       |           |
|   dropped_by_service, error_*,                     |                                       |           |
|   refused_* (except unknown_user, offline)         |                                       |           |
| peer_lost                                          | the far end is one of our engines     | generator |
| invite_timeout, no_routing, ring_timeout,          | the link had an outage, its queue     | network   |
|   signaling_lost, reoffer_timeout, resume_timeout, |   overflowed, or a packet took > 5 s  |           |
|   hangup_unconfirmed, cancel_unconfirmed           | anything else                         | target    |
| reoffer_timeout, before the row above              | the far end reports an unreliable     | unknown   |
|                                                    |   link, and our link did not stall    |           |
| ice_*, dtls_*, no_audio, audio_died, gap,          | our socket refused or dropped packets | generator |
|   consent_lost, peer_closed                        | our packets left late (p99 > 40 ms)   | generator |
|                                                    | the link dropped packets, or one took | network   |
|                                                    |   more than 2 s                       |           |
| no_ringing                                         | as for invite_timeout                 | network   |
| everything else                                    | the service broke the rules of a call | target    |
|                                                    | anything else                         | unknown   |

When one leg is ``unknown``, the other leg's row often names the cause. Example: the service loses an answer. The callee
waits for ICE and ends with ``ice_timeout, unknown``; the caller ends with ``answer_lost, target``.
"""

from __future__ import annotations

from dataclasses import dataclass

from calls.records.record import Blame

LATE_MS = 40.0
"""Two frames of 20 ms. Packets that leave later than this cause a gap that the generator made."""

STALLED_MEDIA_MS = 2000.0
"""A media packet that took this long on the link is a silence by itself."""
STALLED_SIGNALING_MS = 5000.0
"""Longer than any queue of a working link: the link stalled."""

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
    """What is known about a leg's socket, link and far end when it ends."""

    send_errors: int = 0
    send_late_p99_ms: float = 0.0
    link_lost: int = 0
    link_queue_dropped: int = 0
    link_outage_dropped: int = 0
    link_max_delay_ms: float = 0.0
    """The longest time that a packet spent on this leg's access link."""
    peer_link_unreliable: bool = False
    """The far end says that calls may break on its access link."""
    max_gap_ms: float | None = None
    peer_is_ours: bool = False
    """The far end runs in one of our own engines, so only we can have lost it."""

    @property
    def link_dropped(self) -> int:
        """Number of packets that this leg's access link dropped, for any cause."""
        return self.link_lost + self.link_queue_dropped + self.link_outage_dropped

    @property
    def link_stalled(self) -> bool:
        """Whether this leg's access link passed nothing for a while, or its queue overflowed."""
        return self.link_outage_dropped + self.link_queue_dropped > 0 or self.link_max_delay_ms > STALLED_SIGNALING_MS


def blame_of(reason: str, evidence: BlameEvidence) -> Blame:
    """Returns whose fault a failure with this ``reason`` is."""
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
    """Returns whose fault it is that a list of the app did not arrive.

    ``link_drops`` is the number of packets that the person's access link dropped meanwhile. A loss can delay the reply
    of a healthy service.
    """
    return Blame.NETWORK if link_drops and reason in ("no_reply", "signaling_lost") else Blame.TARGET


def _blame_of_media(evidence: BlameEvidence) -> Blame:
    if evidence.send_errors or evidence.send_late_p99_ms > LATE_MS:
        return Blame.GENERATOR
    return Blame.NETWORK if evidence.link_dropped or evidence.link_max_delay_ms > STALLED_MEDIA_MS else Blame.UNKNOWN

"""What a person or a phone does in the middle of a call: each act of a scenario, on real signaling and media.

An act returns what settles it: the message or the milestone that says it is done; None when it is done at once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping

from calls.call.call_rules import Told
from calls.engine.scripts.acting_leg import ActingLeg
from calls.media.interface import MediaEvent, MediaLeg
from calls.scenarios import Act

Settles = Told | MediaEvent | None
DEAD_S = 7.0
"""How long a dead phone stays dead: longer than any service keeps a call for it."""


async def hold(leg: ActingLeg) -> Settles:
    """Keeps sending, wants to hear nothing."""
    leg.media.desired.send_audio, leg.media.desired.receive_audio = True, False
    return await reoffer(leg, "hold")


async def freeze(leg: ActingLeg) -> Settles:
    """No media either way."""
    leg.media.desired.send_audio = leg.media.desired.receive_audio = False
    return await reoffer(leg, "hold")


async def take_back(leg: ActingLeg) -> Settles:
    """Ends the hold."""
    leg.media.desired.send_audio = leg.media.desired.receive_audio = True
    return await reoffer(leg, "restore")


async def video_on(leg: ActingLeg) -> Settles:
    """Adds video; an app on a poor network does not offer it."""
    if leg.media.low_audio:
        return None
    leg.media.desired.video = True
    return await reoffer(leg, "upgrade")


async def video_off(leg: ActingLeg) -> Settles:
    """Back to audio."""
    if not leg.media.desired.video:
        return None
    leg.media.desired.video = False
    return await reoffer(leg, "audio")


async def mute(leg: ActingLeg) -> Settles:
    """Says nothing from now on."""
    leg.media.mute(on=True)
    return None


async def unmute(leg: ActingLeg) -> Settles:
    """Speaks again."""
    leg.media.mute(on=False)
    return None


async def move(leg: ActingLeg) -> Settles:
    """Switches networks; on loopback to another of its addresses, else to another port. Done when it hears again."""
    address = other_address(leg.person.spec.media_address, leg.facts.call_id)
    sdp = await leg.media.step(_media(leg).move(address), "bind_failed")
    _send(leg, sdp, "network")
    return MediaEvent.HEARD_AGAIN


async def lose_signaling(leg: ActingLeg) -> Settles:
    """The connection to the service breaks."""
    leg.person.session.break_off()
    return Told.RESUMED


async def die(leg: ActingLeg) -> Settles:
    """Vanishes without a word."""
    _media(leg).die()
    leg.person.session.break_off(offline_s=DEAD_S)
    leg.machine.die()
    return None


ACTS: Mapping[Act, Callable[[ActingLeg], Awaitable[Settles]]] = {
    Act.HOLD: hold,
    Act.FREEZE: freeze,
    Act.TAKE_BACK: take_back,
    Act.VIDEO_ON: video_on,
    Act.VIDEO_OFF: video_off,
    Act.MUTE: mute,
    Act.UNMUTE: unmute,
    Act.MOVE: move,
    Act.LOSE_SIGNALING: lose_signaling,
    Act.DIE: die,
}


def other_address(address: str, call_id: str) -> str:
    """Returns another address of the same machine: only loopback is known to have more than one."""
    given = ipaddress.ip_address(address)
    if given.version != 4 or not given.is_loopback:
        return address
    return str(given + 1 + sum(call_id.encode()) % 200)


async def reoffer(leg: ActingLeg, reason: str) -> Settles:
    """Offers what this side wants now."""
    desired = leg.media.desired
    offer = _media(leg).create_reoffer(speaks=desired.send_audio, hears=desired.receive_audio, video=desired.video)
    _send(leg, await leg.media.step(offer, "media_error"), reason)
    return Told.REANSWER


def _send(leg: ActingLeg, sdp: str, reason: str) -> None:
    leg.machine.asked(Told.REANSWER, leg.context.clock.monotonic_s())
    leg.person.session.reoffer(leg.facts.call_id, "video" if leg.media.desired.video else "audio", sdp, reason)


def _media(leg: ActingLeg) -> MediaLeg:
    assert leg.media.leg is not None, "acts begin when the call is heard"
    return leg.media.leg

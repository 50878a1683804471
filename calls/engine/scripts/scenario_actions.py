"""Carries out each action of a scenario on real signaling and media.

An action returns what completes it: the message or the media milestone to wait for. None means that it is complete.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping

from calls.call.call_rules import SignalType
from calls.engine.scripts.acting_leg import ActingLeg
from calls.media.interface import MediaEvent, MediaLeg
from calls.scenarios import ScenarioAction

Completion = SignalType | MediaEvent | None
DEAD_S = 7.0
"""How long a dead phone stays dead: longer than a service keeps a call for it."""


async def hold(leg: ActingLeg) -> Completion:
    """Keeps sending, stops receiving."""
    leg.media.desired.send_audio, leg.media.desired.receive_audio = True, False
    return await reoffer(leg, "hold")


async def hold_inactive(leg: ActingLeg) -> Completion:
    """Stops sending and receiving."""
    leg.media.desired.send_audio = leg.media.desired.receive_audio = False
    return await reoffer(leg, "hold")


async def unhold(leg: ActingLeg) -> Completion:
    """Ends the hold."""
    leg.media.desired.send_audio = leg.media.desired.receive_audio = True
    return await reoffer(leg, "restore")


async def video_on(leg: ActingLeg) -> Completion:
    """Adds video; an app on a poor network does not offer it."""
    if leg.media.low_audio:
        return None
    leg.media.desired.video = True
    return await reoffer(leg, "upgrade")


async def video_off(leg: ActingLeg) -> Completion:
    """Removes video."""
    if not leg.media.desired.video:
        return None
    leg.media.desired.video = False
    return await reoffer(leg, "audio")


async def mute(leg: ActingLeg) -> Completion:
    """Sends silence from now on."""
    leg.media.mute(on=True)
    return None


async def unmute(leg: ActingLeg) -> Completion:
    """Sends speech again."""
    leg.media.mute(on=False)
    return None


async def move(leg: ActingLeg) -> Completion:
    """Switches networks: on loopback to another address, else to another port. Complete when audio arrives again."""
    address = other_address(leg.person.spec.media_address, leg.facts.call_id)
    sdp = await leg.media.step(_media(leg).move(address), "bind_failed")
    _send(leg, sdp, "network")
    return MediaEvent.HEARD_AGAIN


async def lose_signaling(leg: ActingLeg) -> Completion:
    """Cuts the connection to the service."""
    leg.person.session.break_off()
    return SignalType.RESUMED


async def die(leg: ActingLeg) -> Completion:
    """Vanishes without another packet or message."""
    _media(leg).die()
    leg.person.session.break_off(offline_s=DEAD_S)
    leg.machine.die()
    return None


ACTIONS: Mapping[ScenarioAction, Callable[[ActingLeg], Awaitable[Completion]]] = {
    ScenarioAction.HOLD: hold,
    ScenarioAction.HOLD_INACTIVE: hold_inactive,
    ScenarioAction.UNHOLD: unhold,
    ScenarioAction.VIDEO_ON: video_on,
    ScenarioAction.VIDEO_OFF: video_off,
    ScenarioAction.MUTE: mute,
    ScenarioAction.UNMUTE: unmute,
    ScenarioAction.MOVE: move,
    ScenarioAction.LOSE_SIGNALING: lose_signaling,
    ScenarioAction.DIE: die,
}


def other_address(address: str, call_id: str) -> str:
    """Returns another address of the same machine. Only loopback is known to have more than one."""
    given = ipaddress.ip_address(address)
    if given.version != 4 or not given.is_loopback:
        return address
    return str(given + 1 + sum(call_id.encode()) % 200)


async def reoffer(leg: ActingLeg, reason: str) -> Completion:
    """Sends a new offer with the media that this side wants now."""
    desired = leg.media.desired
    offer = _media(leg).create_reoffer(
        send_audio=desired.send_audio, receive_audio=desired.receive_audio, video=desired.video
    )
    _send(leg, await leg.media.step(offer, "media_error"), reason)
    return SignalType.REANSWER


def _send(leg: ActingLeg, sdp: str, reason: str) -> None:
    leg.machine.expect_reply(SignalType.REANSWER, leg.context.clock.monotonic_s())
    leg.person.session.reoffer(leg.facts.call_id, "video" if leg.media.desired.video else "audio", sdp, reason)


def _media(leg: ActingLeg) -> MediaLeg:
    assert leg.media.leg is not None, "actions begin when audio has arrived"
    return leg.media.leg

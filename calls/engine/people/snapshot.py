"""Describes a person's current call for the driver."""

from __future__ import annotations

import msgspec

from calls.bridge.messages import PersonSnapshot
from calls.engine.legs.leg import CallLeg
from calls.engine.people.people import SignedInPerson
from calls.engine.records.leg_record import window_mos
from calls.media.interface import LiveStats

_OF_MEDIA = tuple(
    name
    for name in PersonSnapshot.__struct_fields__
    if name in LiveStats.__dataclass_fields__ and name not in {"state", "name"}
)


def snapshot_of(person: SignedInPerson) -> PersonSnapshot:
    """Returns the current state."""
    leg = person.current()
    if leg is None:
        return PersonSnapshot(name=person.spec.name, online=person.session.is_up)
    return _with_media(
        PersonSnapshot(
            name=person.spec.name,
            online=person.session.is_up,
            in_call=True,
            call_id=leg.facts.call_id,
            side=leg.facts.side,
            state=leg.machine.state,
            stage=leg.machine.stage,
            peer_media=leg.media.peer_media,
        ),
        leg,
    )


def _with_media(snapshot: PersonSnapshot, leg: CallLeg) -> PersonSnapshot:
    live = leg.live()
    if live is None:
        return snapshot
    figures = {name: getattr(live, name) for name in _OF_MEDIA}
    mos_lq = window_mos(live.window, leg.media.audio_target_kbit(live))
    return msgspec.structs.replace(snapshot, **figures, media_state=live.state, mos_lq=mos_lq)

"""What goes over the bridge: commands to the engine, one reply to each, and events that nobody asked for.

MessagePack of tagged structs on a ZeroMQ ipc socket. ``*_at_s`` are Unix seconds.
"""

from __future__ import annotations

import msgspec

from calls.records.record import Blame, HealthRow, LegRecord, MessageRow, Tier
from calls.targets.lists import LookAt

PROTOCOL = 2
"""Both ends are of one version; an engine tells its own when it is ready."""


class TargetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The service that calls are placed on."""

    kind: str
    """``reference``, or ``module:Class``."""
    url: str


class AnswerHabit(msgspec.Struct, frozen=True, kw_only=True):
    """What a person does when called."""

    answer_after_s: float = 2.0
    """How long it rings before the person decides."""
    ring_jitter: float = 0.0
    """That time is stretched or shortened evenly by up to this ratio."""
    decline_ratio: float = 0.0
    ignore_ratio: float = 0.0
    """The rest is answered."""


class PersonSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A person to sign in."""

    name: str
    password: str
    persona: str = ""
    device: str = ""
    network: str = ""
    """Network profile id of the person's access link, simulated in the engine; empty for none."""
    link: str = ""
    """Network profile id of a real link that the far browser is behind: only written down, nothing is shaped."""
    media_address: str = "127.0.0.1"
    tier: Tier = Tier.PACKETS
    answers: AnswerHabit = AnswerHabit()
    cell: str = ""
    """For the records of the matrix."""
    attempt: int = 1
    scenario: str = ""
    """For the records of the calls that this person gets."""


# Commands.


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something the engine shall do."""


class Configure(Command, frozen=True, kw_only=True):
    """First of all, once. Replied with Done."""

    target: TargetSpec
    setup_limit_s: float = 30.0
    """A call that is not heard within this time, ringing taken out, is given up."""
    gap_limit_ms: float = 3000.0
    """A longer silence makes a call failed."""
    ring_limit_s: float = 45.0
    """Must be longer than the service's own no-answer limit: passing it is the service's failure."""
    silence_limit_s: float = 15.0
    """A person who hears nothing for so long hangs up."""
    confirm_limit_s: float = 10.0
    """How long the service may take to confirm a goodbye."""
    sign_in_limit_s: float = 20.0
    sample_every: int = 10
    """Per-second samples of every so many-th packets leg of the swarm; probe and matrix legs always; 0 for none."""
    seed: int = 0
    talk_spurts: bool = False
    """People of tier ``packets`` talk and fall silent after ITU-T P.59, with DTX; else they talk all the time."""


class SignIn(Command, frozen=True, kw_only=True):
    """Replied with SignedIn."""

    person: PersonSpec


class SignOut(Command, frozen=True, kw_only=True):
    """Ends the person's call first. Replied with Done, also when nobody of that name is signed in."""

    name: str


class PlaceCall(Command, frozen=True, kw_only=True):
    """Replied with CallFinished at the call's end; give the request that much time."""

    caller: str
    """Signed in at this engine."""
    callee: str
    """Signed in anywhere."""
    media: str = "audio"
    intended_at_s: float
    """The engine waits for this moment when it lies ahead; latency counts from it."""
    talk_s: float
    """From the first audio heard to the hang-up."""
    patience_s: float | None = None
    """An impatient caller cancels when it has rung for so long."""
    scenario: str = ""
    call_id: str = ""
    """Empty for one that the engine makes."""


class SendMessage(Command, frozen=True, kw_only=True):
    """Replied with MessageDone, whether it was acknowledged or not."""

    sender: str
    to: str
    text: str
    intended_at_s: float
    timeout_s: float = 20.0


class OpenList(Command, frozen=True, kw_only=True):
    """The person opens a list of their app, or scrolls on in it. Replied with ListOpened, whether it came or not.

    Refused with ``no_lists`` where the service has none, with ``offline`` for a person who is, or who breaks off.
    """

    name: str
    look_at: LookAt
    person: str = ""
    before: int | None = None
    """These as in ``calls.targets.lists.PageRequest``."""
    intended_at_s: float | None = None
    """None for now."""
    heavy_past: bool = False
    """For the record: this person finds more than others do."""
    timeout_s: float = 20.0


class Snapshot(Command, frozen=True, kw_only=True):
    """How the person's call is now. Replied with PersonSnapshot."""

    name: str


class HangUp(Command, frozen=True, kw_only=True):
    """The person leaves its call now, as it would by a button. Replied with Done."""

    name: str


class Drain(Command, frozen=True, kw_only=True):
    """No new calls; those that are on may end by themselves for ``timeout_s``, then they are hung up.

    Replied with Drained when none is left and every row is on disk; StillClosing tells how far it is.
    """

    timeout_s: float


class Shutdown(Command, frozen=True, kw_only=True):
    """Ends the engine. Calls that are on are written as failed, blame generator. Replied with Done, then it exits.

    StillClosing tells how far it is.
    """


# Replies.


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The engine's answer to one command."""


class Done(Reply, frozen=True, kw_only=True):
    """As asked."""


class Refused(Reply, frozen=True, kw_only=True):
    """Not as asked. ``code`` has few distinct values."""

    code: str
    message: str
    hint: str = ""


class SignedIn(Reply, frozen=True, kw_only=True):
    """The person is online."""

    rtt_ms: float | None = None
    """Round trip of signaling, through the person's access link."""
    degradation: bool = False
    """The service's policy."""
    low_audio: bool = False
    """The person's link is poor, and the product degrades: 12 kbit/s in 60 ms frames."""


class CallFinished(Reply, frozen=True, kw_only=True):
    """The caller's leg, as written to the run folder."""

    leg: LegRecord


class MessageDone(Reply, frozen=True, kw_only=True):
    """The message, as written to the run folder."""

    row: MessageRow


class ListOpened(Reply, frozen=True, kw_only=True):
    """A page of a list, or why there is none."""

    took_ms: float
    """From the intended moment, through the person's access link, until the page was there or given up."""
    people: tuple[str, ...] = ()
    older: int | None = None
    size_bytes: int = 0
    reason: str = ""
    """Empty when it came."""
    blame: Blame = Blame.NOBODY


class PersonSnapshot(Reply, frozen=True, kw_only=True):
    """A person's call at this moment; only the first fields when there is none."""

    name: str
    online: bool
    in_call: bool = False
    call_id: str = ""
    side: str = ""
    state: str = ""
    """Of the call: ``ringing``, ``connecting``, ``talking`` …"""
    stage: str = ""
    media: str = ""
    """``audio`` or ``video``: what this person sends now."""
    peer_media: str = ""
    """What the far end last said it sends and wants: ``audio``, ``video`` or ``low_audio``; empty for nothing said."""
    media_state: str = ""
    """Of the media leg: ``new``, ``connecting``, ``connected``, ``failed``, ``closed``; empty for no leg yet."""
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    video_frames_sent: int = 0
    video_frames_received: int = 0
    last_packet_age_ms: float | None = None
    owd_ms: float | None = None
    rtt_ms: float | None = None
    jitter_ms: float | None = None
    asked_ptime_ms: int | None = None
    """Frame length that the far end asked for."""
    asked_audio_kbit: float | None = None
    sending_ptime_ms: int | None = None
    sending_audio_kbit: float | None = None
    mos_lq: float | None = None
    """Of the last finished window."""


class Drained(Reply, frozen=True, kw_only=True):
    """No call is left."""

    ended: int
    """Calls that ended while draining."""
    forced: int
    """Of these, hung up by the drain."""


# Events.


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that nobody asked for."""


class LegFinished(Event, frozen=True, kw_only=True):
    """A call that one of our people got has ended."""

    leg: LegRecord


class EngineHealth(Event, frozen=True, kw_only=True):
    """Once a second: also the sign of life that the client watches."""

    row: HealthRow


class EngineTrouble(Event, frozen=True, kw_only=True):
    """The engine goes on, and the run should know: a segment that cannot be written, a fault of our own."""

    code: str
    message: str
    loses_data: bool = False
    """What was measured is missing, so that the run cannot be judged by what is there."""
    ends_load: bool = False
    """Nothing more can be measured: to go on would be load for nothing."""


class StillClosing(Event, frozen=True, kw_only=True):
    """Once a second while the engine drains or ends: what it waits for, and how long it lets that take."""

    step: str
    left: int
    """How much of the step is still to do."""
    limit_s: float
    """The engine gives the step up by itself when there was no progress for so long."""


AnyCommand = Configure | SignIn | SignOut | PlaceCall | SendMessage | OpenList | Snapshot | HangUp | Drain | Shutdown
AnyReply = Done | Refused | SignedIn | CallFinished | MessageDone | ListOpened | PersonSnapshot | Drained
AnyEvent = LegFinished | EngineHealth | EngineTrouble | StillClosing


class ToEngine(msgspec.Struct, frozen=True, array_like=True):
    """The envelope of a command."""

    request_id: int
    command: AnyCommand


class FromEngine(msgspec.Struct, frozen=True, array_like=True):
    """The envelope of a reply, or of an event (``request_id`` 0)."""

    request_id: int
    body: AnyReply | AnyEvent

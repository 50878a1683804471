"""Defines the bridge's messages: commands to the engine, one reply to each, and events.

MessagePack of tagged structs on a ZeroMQ ipc socket. ``*_at_s`` are Unix seconds.
"""

from __future__ import annotations

import msgspec

from calls.records.record import Blame, HealthRow, LegRecord, MessageRow, Tier
from calls.targets.lists import ListKind

PROTOCOL = 2
"""Both ends must have the same version; an engine sends its own when it is ready."""


class TargetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The service that receives the calls."""

    kind: str
    """``reference``, or ``module:Class``."""
    url: str


class AnswerHabit(msgspec.Struct, frozen=True, kw_only=True):
    """What a person usually does when called."""

    answer_after_s: float = 2.0
    """How long it rings before the person decides."""
    ring_jitter: float = 0.0
    """``answer_after_s`` varies evenly by up to this ratio."""
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
    """Network profile id of a real link in front of the far browser: for the records only, nothing is shaped."""
    media_address: str = "127.0.0.1"
    tier: Tier = Tier.PACKETS
    answers: AnswerHabit = AnswerHabit()
    cell: str = ""
    """For the records of the matrix."""
    attempt: int = 1
    scenario: str = ""
    """For the records of the calls that this person receives."""


# Commands.


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A request to the engine."""


class Configure(Command, frozen=True, kw_only=True):
    """The first command, sent once. Reply: Done."""

    target: TargetSpec
    setup_limit_s: float = 30.0
    """A call without audio after this time, ringing excluded, is given up."""
    gap_limit_ms: float = 3000.0
    """A longer silence fails the call."""
    ring_limit_s: float = 45.0
    """Must be longer than the service's own no-answer limit: a call that rings longer is the service's failure."""
    silence_limit_s: float = 15.0
    """A person who receives no audio for this long hangs up."""
    confirm_limit_s: float = 10.0
    """How long the service may take to confirm a hang-up."""
    sign_in_limit_s: float = 20.0
    sample_every: int = 10
    """Per-second samples of one in this many packets legs of the swarm; 0 for none. Probe and matrix legs: always."""
    seed: int = 0
    talk_spurts: bool = False
    """Tier ``packets``: people talk and pause after ITU-T P.59, with DTX. Otherwise they talk all the time."""


class SignIn(Command, frozen=True, kw_only=True):
    """Reply: SignedIn."""

    person: PersonSpec


class SignOut(Command, frozen=True, kw_only=True):
    """Ends the person's call first. Reply: Done, also when nobody of that name is signed in."""

    name: str


class PlaceCall(Command, frozen=True, kw_only=True):
    """Reply: CallFinished at the call's end; allow the request that much time."""

    caller: str
    """Signed in at this engine."""
    callee: str
    """Signed in anywhere."""
    media: str = "audio"
    intended_at_s: float
    """If it lies ahead, the engine waits for it. Latency counts from it."""
    talk_s: float
    """From the first audio received to the hang-up."""
    patience_s: float | None = None
    """An impatient caller cancels after this much ringing."""
    scenario: str = ""
    call_id: str = ""
    """Empty: the engine makes one."""


class SendMessage(Command, frozen=True, kw_only=True):
    """Reply: MessageDone, whether the message was acknowledged or not."""

    sender: str
    to: str
    text: str
    intended_at_s: float
    timeout_s: float = 20.0


class OpenList(Command, frozen=True, kw_only=True):
    """The person opens a list of their app, or scrolls on in it. Reply: ListOpened, whether the page arrived or not.

    Refused with ``no_lists`` where the service has none; with ``offline`` for a person who is offline or goes offline.
    """

    name: str
    look_at: ListKind
    person: str = ""
    before: int | None = None
    """These as in ``calls.targets.lists.PageRequest``."""
    intended_at_s: float | None = None
    """None for now."""
    heavy_past: bool = False
    """For the record: this person's lists are longer than those of others."""
    timeout_s: float = 20.0


class Snapshot(Command, frozen=True, kw_only=True):
    """The current state of the person's call. Reply: PersonSnapshot."""

    name: str


class HangUp(Command, frozen=True, kw_only=True):
    """The person hangs up now. Reply: Done."""

    name: str


class Drain(Command, frozen=True, kw_only=True):
    """Stops new calls. Running calls may end by themselves for ``timeout_s``, then they are hung up.

    Reply: Drained when no call is left and every row is on disk. StillClosing reports the progress.
    """

    timeout_s: float


class Shutdown(Command, frozen=True, kw_only=True):
    """Ends the engine. Running calls are recorded as failed with blame generator. Reply: Done, then it exits.

    StillClosing reports the progress.
    """


# Replies.


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The engine's answer to one command."""


class Done(Reply, frozen=True, kw_only=True):
    """The command was carried out."""


class Refused(Reply, frozen=True, kw_only=True):
    """The command was not carried out. ``code`` has few distinct values."""

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
    """The person's link is poor and the product degrades: 12 kbit/s in 60 ms frames."""


class CallFinished(Reply, frozen=True, kw_only=True):
    """The caller's leg, as written to the run folder."""

    leg: LegRecord


class MessageDone(Reply, frozen=True, kw_only=True):
    """The message, as written to the run folder."""

    row: MessageRow


class ListOpened(Reply, frozen=True, kw_only=True):
    """A page of a list, or the reason why there is none."""

    took_ms: float
    """From the intended moment, through the person's access link, until the page arrived or was given up."""
    people: tuple[str, ...] = ()
    older: int | None = None
    size_bytes: int = 0
    reason: str = ""
    """Empty when the page arrived."""
    blame: Blame = Blame.NOBODY


class PersonSnapshot(Reply, frozen=True, kw_only=True):
    """A person's current call; only the first two fields without a call."""

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
    """What the far end last said that it sends and wants: ``audio``, ``video`` or ``low_audio``; empty before that."""
    media_state: str = ""
    """Of the media leg: ``new``, ``connecting``, ``connected``, ``failed``, ``closed``; empty without a leg."""
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
    """Frame length that the far end requested."""
    asked_audio_kbit: float | None = None
    sending_ptime_ms: int | None = None
    sending_audio_kbit: float | None = None
    mos_lq: float | None = None
    """Of the last finished window."""


class Drained(Reply, frozen=True, kw_only=True):
    """No call is left."""

    ended: int
    """Calls that ended during the drain."""
    forced: int
    """Of these, the calls that the drain hung up."""


# Events.


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A message that is not a reply."""


class LegFinished(Event, frozen=True, kw_only=True):
    """A call that one of our people received has ended."""

    leg: LegRecord


class EngineHealth(Event, frozen=True, kw_only=True):
    """Sent once a second. The client also uses it as a sign of life."""

    row: HealthRow


class EngineTrouble(Event, frozen=True, kw_only=True):
    """A problem that the run must know of, such as a segment that cannot be written. The engine goes on."""

    code: str
    message: str
    loses_data: bool = False
    """Measurements are missing, so the run cannot be judged."""
    ends_load: bool = False
    """Nothing more can be measured, so the load should stop."""


class StillClosing(Event, frozen=True, kw_only=True):
    """Sent once a second while the engine drains or ends: the step it is in, and its limit."""

    step: str
    left: int
    """Number of items that are left in the step."""
    limit_s: float
    """The engine gives up the step after this long without progress."""


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

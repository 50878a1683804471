"""Defines the rows that the swarm and the device matrix write, above all the leg: one side of one call.

A call is its caller leg joined with its callee leg on ``call_id``. Each side writes what it saw in its own process, so
the death of one does not lose the other. ``*_at_s`` are Unix seconds; ``None`` means not reached.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

RECORD_FORMAT = 1


class Stage(StrEnum):
    """The stages of a call, in this order."""

    ATTEMPTED = "attempted"
    RINGING = "ringing"
    ANSWERED = "answered"
    ICE = "ice"
    DTLS = "dtls"
    MEDIA_BOTH_WAYS = "media_both_ways"
    SUSTAINED = "sustained"
    ENDED = "ended"


FUNNEL: tuple[Stage, ...] = tuple(Stage)


class Outcome(StrEnum):
    """How a call ended. The first is success, the last is failure, the others are decisions of people or of a
    scenario.
    """

    COMPLETED = "completed"
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    CANCELED = "canceled"
    BLOCKED = "blocked"
    SHADOWED = "shadowed"
    """The service checked and routed a shadow call, which rings nobody."""
    DIED = "died"
    """One side vanished as its scenario says, and the other was told in time."""
    FAILED = "failed"


HUMAN_OUTCOMES = frozenset(set(Outcome) - {Outcome.COMPLETED, Outcome.FAILED})
"""Not counted in the completion rate."""


class Blame(StrEnum):
    """Whose fault a failed call is. ``NOBODY`` for a call that did not fail."""

    NOBODY = ""
    TARGET = "target"
    NETWORK = "network"
    GENERATOR = "generator"
    DEVICE = "device"
    UNKNOWN = "unknown"


class Tier(StrEnum):
    """Fidelity of a leg, from the cheapest to a real phone."""

    PACKETS = "packets"
    MEDIA = "media"
    BROWSER = "browser"
    EMULATOR = "emulator"
    DEVICE = "device"


class Side(StrEnum):
    """Which end of the call."""

    CALLER = "caller"
    CALLEE = "callee"

    @property
    def other(self) -> Side:
        """The far end."""
        return Side.CALLEE if self is Side.CALLER else Side.CALLER


class LegRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one call, as that side saw it. The field order is the column order of ``calls/*.parquet``."""

    format: int = RECORD_FORMAT
    run_id: str
    call_id: str
    """Chosen by the caller; unique over all runs."""
    side: Side
    tier: Tier
    source: str
    """``swarm`` or ``matrix``."""
    writer: str
    """The process that wrote the row, e.g. ``swarm-0``. An engine's health rows have the same name."""
    cell: str = ""
    """``device--network--scenario`` for the matrix, empty for the swarm."""
    attempt: int = 1
    person: str
    peer: str
    persona: str = ""
    device: str = ""
    network: str = ""
    """Network profile id of this leg's access link, empty for none."""
    generation: str = ""
    """The profile's generation: 2g, 3g, 4g, 5g, wifi, satellite; empty for no access link."""
    scenario: str = ""
    media: str = "audio"
    """The requested media: ``audio`` or ``video``."""

    outcome: Outcome
    blame: Blame = Blame.NOBODY
    reason: str = ""
    """Code with few distinct values, e.g. ``ice_timeout``, ``no_audio``, ``gap``, ``signaling_lost``."""
    stage: Stage = Stage.ATTEMPTED
    """The furthest stage that this leg saw."""

    intended_at_s: float
    """Caller: when the plan wanted the call. Callee: when the invitation arrived."""
    started_at_s: float
    """Caller: when the invitation was sent. Callee: as ``intended_at_s``."""
    ringing_at_s: float | None = None
    answered_at_s: float | None = None
    """Caller: the answer arrived. Callee: the answer was sent."""
    ice_at_s: float | None = None
    dtls_at_s: float | None = None
    first_audio_at_s: float | None = None
    """When this leg received and decrypted the first audio packet."""
    ended_at_s: float
    answer_wait_ms: float = 0.0
    """Callee: how long the person let it ring. ``setup_ms`` excludes it."""
    planned_talk_s: float = 0.0
    talked_s: float = 0.0
    """From the first audio received to the end."""
    hung_up_cleanly: bool = False
    """This leg ended by a hang-up of either side that the service confirmed."""

    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    """Packets missing in the other side's sequence numbers at the end. All packet counts here are of audio only."""
    packets_late: int = 0
    """Arrived after their playout time in the playout buffer model."""
    send_errors: int = 0
    """Datagrams that our own socket refused or dropped: the generator's fault."""
    link_lost: int = 0
    """Packets that the random loss of this leg's access link dropped, both directions."""
    link_queue_dropped: int = 0
    link_outage_dropped: int = 0

    effective_loss_ratio: float | None = None
    """(lost + late) / expected."""
    jitter_ms: float | None = None
    """RFC 3550 interarrival jitter at the end."""
    owd_p50_ms: float | None = None
    """One-way delay of the received packets."""
    owd_p95_ms: float | None = None
    owd_clock: str = ""
    """How the one-way delay is known: ``same_clock``, ``estimated``, or empty without one."""
    owd_uncertainty_ms: float | None = None
    """Bound on the error of every one-way delay of this leg because of the two clocks; None without a delay."""
    owd_negative: int = 0
    """Packets received before they were sent. They are kept, because they show a skewed clock."""
    rtt_ms: float | None = None
    max_gap_ms: float | None = None
    """The longest silence between two received audio packets, from the first to the intended end."""
    move_gap_ms: float | None = None
    """The longest silence while a side moved to another network as its scenario says; not in ``max_gap_ms``."""
    mouth_to_ear_ms: float | None = None
    """Tier ``media``: measured by correlation. Else the sum of the four parts below."""
    m2e_frame_ms: float | None = None
    """The frame must be full before it can be encoded."""
    m2e_lookahead_ms: float | None = None
    """Look-ahead of the codec."""
    m2e_network_ms: float | None = None
    """One-way delay of the fastest packet."""
    m2e_playout_ms: float | None = None
    """Delay that the playout buffer adds to that of the fastest packet."""
    mos_lq: float | None = None
    """Median over the call's windows, listening quality."""
    mos_lq_worst: float | None = None
    mos_cq: float | None = None
    """As ``mos_lq``, with the delay included."""
    mos_model: str = ""
    mos_grounded: bool = False
    """The model's parameters cover the received audio: published, or calibrated against ViSQOL (``mos_basis``)."""
    mos_basis: str = ""
    """``published``, ``calibrated`` or ``extrapolated``: the weakest of the call's windows."""
    audio_kbit: float | None = None
    """Received payload rate."""
    ptime_ms: float | None = None
    send_late_p99_ms: float | None = None

    video_frames_sent: int = 0
    video_frames_received: int = 0
    fell_back_to: str = ""
    """``audio`` (video dropped) or ``low_audio`` (low bitrate, long frames), empty for none."""
    fell_back_at_s: float | None = None
    audio_score: float | None = None
    """Media tier: likeness of decoded to sent audio, 0..1. See calls/media/probe/audio_probe.py."""
    visqol_mos_lq: float | None = None
    """Media tier: MOS of the received audio by ViSQOL in speech mode. It is written later as a row of ``probes/``;
    readers of the run folder join it."""
    talk_spurts: int = 0
    """Talk spurts received, where the other side pauses between them; 0 where it never pauses."""

    expected_outcome: str = ""
    """Outcomes that the leg's scenario allows, joined by ``|``; empty without a scenario."""
    as_expected: bool | None = None
    """The leg ended so and carried out all of the scenario's actions; None without a scenario."""
    findings: str = ""
    """Violations of the call rules by the service, e.g. ``illegal_ringing``, joined by ``,``."""
    routed_at_s: float | None = None
    """Shadow call: when the service had checked and routed it."""
    ice_restarts: int = 0
    """How often a new path was validated after a side moved to another network."""
    reconnects: int = 0
    """How often this leg's signaling was lost and the call resumed."""
    held_s: float = 0.0
    """How long either side held the call. Silence in that time is no gap."""
    muted_s: float = 0.0
    """How long this leg's person was muted."""


class HealthRow(msgspec.Struct, frozen=True, kw_only=True):
    """One second of one generator process, in ``health/*.parquet``. Counts are totals since its start."""

    run_id: str
    writer: str
    role: str
    """``engine``, ``worker`` (a Locust worker), ``matrix_engine``, ``link``."""
    at_s: float
    cpu_ratio: float
    """CPU time over wall time in this second: 1.0 is one core."""
    rss_mb: float = 0.0
    loop_lag_p99_ms: float = 0.0
    send_late_p99_ms: float = 0.0
    """Lateness of datagrams against their schedule in this second, 99th percentile."""
    send_late_max_ms: float = 0.0
    packets_sent: int = 0
    packets_received: int = 0
    datagrams_dropped: int = 0
    """By our own sockets: refused on send, or dropped by a full receive buffer."""
    active_legs: int = 0
    active_probe_legs: int = 0
    signed_in: int = 0
    starts_planned: int = 0
    starts_dropped: int = 0
    """Starts that could not happen because nobody was free."""
    steal_ratio: float = 0.0
    host: str = ""
    """Name of the machine."""
    fds_used_ratio: float = 0.0
    """Open file descriptors over this process's limit."""
    ports_used_ratio: float = 0.0
    """Local ports in use in this network namespace over the kernel's local port range."""


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One text message of the swarm, in ``messages/*.parquet``."""

    run_id: str
    writer: str
    at_s: float
    """When the plan wanted it sent."""
    sender: str
    to: str
    network: str = ""
    generation: str = ""
    ok: bool
    reason: str = ""
    ack_ms: float | None = None
    """From the intended moment to the service's acknowledgement."""


class ListRow(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list that a person of the swarm opened in their app, in ``lists/*.parquet``."""

    run_id: str
    writer: str
    at_s: float
    """When the person opened it."""
    person: str
    look_at: str
    """``threads``, ``thread`` or ``calls``."""
    heavy_past: bool = False
    """The person has far more threads or missed calls than others: see loadtests/people/visits.py."""
    is_newest: bool = True
    """The first page. Others come as the person scrolls on."""
    network: str = ""
    generation: str = ""
    ok: bool
    reason: str = ""
    blame: Blame = Blame.NOBODY
    took_ms: float | None = None
    """From the intended moment, through the person's access link, until the page arrived."""
    size_bytes: int = 0


class WindowRow(msgspec.Struct, frozen=True, kw_only=True):
    """About 5 s of what one leg received, the unit of the quality model, in ``windows/*.parquet``."""

    run_id: str
    writer: str
    call_id: str
    side: Side
    tier: Tier
    source: str
    cell: str = ""
    network: str = ""
    generation: str = ""
    at_s: float
    duration_s: float
    expected: int
    """Packets that were due: none in a window of intended silence."""
    received: int = 0
    lost: int = 0
    late: int = 0
    effective_loss_ratio: float = 0.0
    burst_ratio: float = 1.0
    audio_kbit: float = 0.0
    """Payload rate while the other side talked."""
    ptime_ms: float = 20.0
    owd_ms: float | None = None
    owd_max_ms: float | None = None
    mouth_to_ear_ms: float | None = None
    talk_ratio: float = 1.0
    """Share of the window in which the other side talked."""
    mos_lq: float | None = None
    """None when no packet was due."""
    mos_cq: float | None = None
    r_lq: float | None = None
    """The R that ``mos_lq`` comes from, on the full-band scale (0..148)."""
    mos_basis: str = ""


class ProbeRow(msgspec.Struct, frozen=True, kw_only=True):
    """How one side of a probe call really sounded, in ``probes/*.parquet``. Scored apart from the engine."""

    run_id: str
    writer: str
    call_id: str
    side: Side
    """The listener."""
    at_s: float
    duration_s: float
    voice: str
    """``espeak-ng`` or ``generated``."""
    measure: str
    """The measure, e.g. ``visqol-speech-3.8.0``."""
    visqol_mos_lq: float | None = None
    mouth_to_ear_ms: float | None = None
    """Median over windows of one second, by GCC-PHAT."""
    mouth_to_ear_spread_ms: float | None = None
    """Longest minus shortest of these windows: how much the playout buffer stretched."""
    reason: str = ""
    """Why there is no score; empty with a score."""


class SampleRow(msgspec.Struct, frozen=True, kw_only=True):
    """One second of one leg, in ``samples/*.parquet``."""

    run_id: str
    writer: str
    call_id: str
    side: Side
    tier: Tier
    cell: str = ""
    at_s: float
    kbit_in: float = 0.0
    kbit_out: float = 0.0
    packets_in: int = 0
    lost: int = 0
    owd_ms: float | None = None
    rtt_ms: float | None = None
    jitter_ms: float | None = None
    mos_lq: float | None = None
    media: str = "audio"
    quality: str = ""
    """The level that the app itself shows, if it shows one."""

"""From raw counters to figures: differences, windows, scores, and the leg record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from calls.records.record import Blame, Outcome, Stage, Tier
from device_matrix.attempt.leg import BrowserLegFacts, build_leg, first_audio_at_s
from device_matrix.capture.rtp_streams import StreamFigures
from device_matrix.capture.stats import mouth_to_ear_ms, sample_rows, score
from device_matrix.cells import Cell, DriverName
from device_matrix.hook.samples import PeerConnectionStats, call_connection, read_connections
from device_matrix.pages.app_page import CallScreen

START_S = 1_700_000_000.0
HEARD = StreamFigures(
    packets=500,
    lost=3,
    first_at_s=START_S + 2.1,
    last_at_s=START_S + 12.0,
    max_gap_ms=180.0,
    jitter_ms=6.0,
    ptime_ms=20.0,
    burst_ratio=1.0,
    owd_p50_ms=80.0,
    owd_p95_ms=110.0,
)


def taken(seconds: int = 11, *, concealed_a_second: int = 0, silent_a_second: int = 0) -> list[dict[str, Any]]:
    """What the page would hand over: one idle connection, and one that carried a call."""
    samples = [
        {
            "atMs": (START_S + 2 + n) * 1000,
            "audioIn": {
                "packetsReceived": 50 * n,
                "packetsLost": n // 4,
                "bytesReceived": 3000 * n,
                "jitter": 0.006,
                "jitterBufferDelay": 0.06 * 48000 * n,
                "jitterBufferEmittedCount": 48000 * n,
                "concealedSamples": (concealed_a_second + silent_a_second) * n,
                "silentConcealedSamples": silent_a_second * n,
                "totalSamplesReceived": 48000 * n,
                "codec": {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000},
                "aCounterOfTheFuture": 1,
            },
            "audioOut": {"packetsSent": 50 * n, "bytesSent": 3000 * n, "codec": {"payloadType": 111}},
            "audioRemoteIn": {"roundTripTime": 0.17},
            "pair": {
                "currentRoundTripTime": 0.5,
                "bytesReceived": 5000 * n,
                "bytesSent": 4000 * n,
                "local": {"address": "10.213.0.2", "candidateType": "host"},
                "remote": {"address": "10.213.0.1", "candidateType": "host"},
            },
        }
        for n in range(seconds)
    ]
    return [
        {"createdAtMs": START_S * 1000, "samples": []},
        {
            "createdAtMs": (START_S + 1) * 1000,
            "iceAtMs": (START_S + 1.5) * 1000,
            "connectedAtMs": (START_S + 2.0) * 1000,
            "firstAudioAtMs": (START_S + 2.4) * 1000,
            "states": [[(START_S + 1.5) * 1000, "ice:connected"]],
            "samples": samples,
        },
    ]


def connection(**changes: int) -> PeerConnectionStats:
    found = call_connection(read_connections(taken(**changes)))
    assert found is not None
    return found


def shown(at_s: float, state: str, **changes: str) -> CallScreen:
    screen = CallScreen(START_S + at_s, state, "call-1", "audio", "good", "none", "")
    return replace(screen, **changes)


TIMELINE = [
    shown(0.1, "calling"),
    shown(0.6, "ringing"),
    shown(1.2, "connecting"),
    shown(2.2, "in-call"),
    shown(13.2, "ended", end_reason="hangup"),
]


def facts(**changes: Any) -> BrowserLegFacts:
    known: dict[str, Any] = {
        "run_id": "run",
        "writer": "matrix-gw0",
        "cell": Cell("redmi-go", "hspa_35g", "audio_call", DriverName.APPIUM),
        "generation": "3g",
        "attempt": 1,
        "person": "a",
        "peer": "b",
        "media": "audio",
        "call_id": "call-1",
        "placed_at_s": START_S,
        "intended_end_at_s": START_S + 13.0,
        "ended_at_s": START_S + 14.0,
        "planned_talk_s": 8.0,
        "hung_up_cleanly": True,
        "timeline": TIMELINE,
        "connection": connection(),
        "heard": HEARD,
        "sent_packets": 500,
        "link_lost": 5,
        "link_queue_dropped": 1,
        "link_outage_dropped": 0,
        "failure_reason": "",
        "failure_blame": Blame.NOBODY,
    }
    return BrowserLegFacts(**{**known, **changes})


def test_the_connection_of_the_call_is_the_one_that_was_heard() -> None:
    read = read_connections(taken())
    assert call_connection(read) is read[1]
    assert call_connection(list(reversed(read))) is read[1]
    assert call_connection([]) is None


def test_a_completed_call_is_a_whole_record() -> None:
    leg = build_leg(facts())
    assert (leg.outcome, leg.stage, leg.tier) == (Outcome.COMPLETED, Stage.ENDED, Tier.BROWSER)
    assert leg.ringing_at_s == START_S + 0.6
    assert leg.answered_at_s == START_S + 1.2
    assert leg.first_audio_at_s == pytest.approx(START_S + 2.1)
    assert leg.talked_s == pytest.approx(10.9)
    assert (leg.packets_received, leg.packets_lost, leg.link_lost) == (500, 3, 5)
    assert leg.rtt_ms == pytest.approx(170)
    assert leg.audio_kbit == pytest.approx(24.0)
    assert leg.mouth_to_ear_ms == pytest.approx(20 + 6.5 + 80 + 60)
    assert leg.owd_clock == "same_clock"
    assert leg.mos_lq is not None
    assert leg.mos_cq is not None
    assert 1 <= leg.mos_cq < leg.mos_lq <= 4.5
    assert leg.mos_model


def test_loss_is_what_had_to_be_made_up_and_silence_is_not_counted() -> None:
    leg = build_leg(facts(connection=connection(concealed_a_second=2400, silent_a_second=9600)))
    assert leg.effective_loss_ratio == pytest.approx(0.05)
    clean = build_leg(facts())
    assert leg.mos_lq is not None
    assert clean.mos_lq is not None
    assert leg.mos_lq < clean.mos_lq


def test_a_call_that_nobody_heard_stops_in_the_funnel_where_it_stopped() -> None:
    nothing = facts(connection=None, heard=None, sent_packets=0, hung_up_cleanly=False, failure_reason="no_audio")
    assert build_leg(nothing).stage is Stage.ANSWERED
    assert build_leg(nothing).outcome is Outcome.FAILED
    assert build_leg(nothing).mos_lq is None
    assert build_leg(replace(nothing, timeline=TIMELINE[:2])).stage is Stage.RINGING
    assert build_leg(replace(nothing, timeline=[])).stage is Stage.ATTEMPTED


def test_what_people_do_keeps_its_own_outcome() -> None:
    declined = [*TIMELINE[:2], shown(3.0, "ended", end_reason="declined")]
    leg = build_leg(facts(timeline=declined, connection=None, heard=None, hung_up_cleanly=False, failure_reason="x"))
    assert leg.outcome is Outcome.DECLINED


def test_a_fallback_is_written_with_its_moment() -> None:
    fallen = [*TIMELINE[:4], shown(5.0, "in-call", fallback="low-audio"), TIMELINE[4]]
    leg = build_leg(facts(timeline=fallen))
    assert (leg.fell_back_to, leg.fell_back_at_s) == ("low_audio", START_S + 5.0)


def test_audio_that_arrived_before_the_keys_did_was_not_heard() -> None:
    early = replace(HEARD, first_at_s=START_S + 1.0)
    assert first_audio_at_s(connection(), early) == pytest.approx(START_S + 2.0)
    late = replace(HEARD, first_at_s=START_S + 9.0)
    assert first_audio_at_s(connection(), late) == pytest.approx(START_S + 2.4), "played before it arrived: not it"
    assert first_audio_at_s(connection(), None) == pytest.approx(START_S + 2.4)
    assert first_audio_at_s(None, HEARD) is None


def test_a_sample_row_a_second_with_what_the_app_showed() -> None:
    rows = sample_rows(
        connection().samples,
        run_id="run",
        writer="w",
        call_id="call-1",
        cell="c",
        media_at=[(START_S + 1, "video", "fair"), (START_S + 6.5, "audio", "poor")],
    )
    assert len(rows) == 10
    assert (rows[0].kbit_in, rows[0].kbit_out, rows[0].packets_in) == (40.0, 32.0, 50)
    assert (rows[0].media, rows[0].quality) == ("video", "fair")
    assert (rows[-1].media, rows[-1].quality) == ("audio", "poor")
    assert sum(row.lost for row in rows) == 2


def test_there_is_no_score_without_audio() -> None:
    assert score(connection().samples, None) is None
    assert score([], HEARD) is None


def test_mouth_to_ear_needs_a_delay() -> None:
    assert mouth_to_ear_ms(replace(HEARD, owd_p50_ms=None), 60.0) is None

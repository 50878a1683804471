"""The web client's pure modules: the wire form of descriptions, and when a call steps down and up."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from waiting import HANG_LIMIT_S

WEB = Path(__file__).parents[3] / "reference_service" / "web"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node runs the client's modules outside a browser")

CHROMIUM_AUDIO_OFFER = "\r\n".join(
    """v=0
o=- 5202379324408919221 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 33927 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 192.0.2.2
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:3080723626 1 udp 2122194687 192.0.2.2 33927 typ host generation 0 network-id 1
a=candidate:3251187496 1 tcp 1518214911 192.0.2.2 9 typ host tcptype active generation 0 network-id 1
a=ice-ufrag:tafC
a=ice-pwd:KuEwNaxHu5anf+j+95IDhiyb
a=ice-options:trickle
a=fingerprint:sha-256 F8:85:8F:25:81:16:FF:9F:8C:86:8D:AC:34:BB:68:03:B8:83:E8:4A:9A:D6:97:86:1C:ED:E4:90:F0:A6:20:35
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=sendrecv
a=msid:- a9920a5a-1a9e-4397-95ab-f6412c9f7211
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3270042898 cname:XgvzJUm8r5viTqPf
a=ssrc:3270042898 msid:- a9920a5a-1a9e-4397-95ab-f6412c9f7211
""".splitlines()
)

CHROMIUM_VIDEO_SECTION = "\r\n".join(
    """
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 45
c=IN IP4 0.0.0.0
a=mid:1
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:13 urn:3gpp:video-orientation
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=sendrecv
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:98 VP9/90000
a=fmtp:98 profile-id=0
a=rtpmap:99 rtx/90000
a=fmtp:99 apt=98
a=rtpmap:45 AV1/90000
""".splitlines()
)


def run_js(module: str, body: str, **values: object) -> Any:
    """Runs ``body`` with the module's exports as ``m`` and ``values`` by name; returns what it returns."""
    source = json.dumps((WEB / module).read_text())
    program = f"""
const m = await import("data:text/javascript," + encodeURIComponent({source}));
const {{ {", ".join(values) or "_"} }} = {json.dumps(values or {"_": None})};
const result = await (async () => {{ {body} }})();
process.stdout.write(JSON.stringify(result ?? null));
"""
    done = subprocess.run(
        ["node", "--input-type=module"],
        input=program,
        capture_output=True,
        text=True,
        timeout=HANG_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ---- descriptions


def test_an_audio_offer_keeps_opus_and_what_a_far_end_needs_in_under_a_kilobyte() -> None:
    wire = run_js("sdp.js", "return m.toWire(sdp)", sdp=CHROMIUM_AUDIO_OFFER)
    lines = wire.split("\r\n")
    assert "m=audio 33927 UDP/TLS/RTP/SAVPF 111" in lines
    assert "a=candidate:3080723626 1 udp 2122194687 192.0.2.2 33927 typ host" in lines
    for needed in ("a=group:BUNDLE 0", "a=ice-ufrag:tafC", "a=setup:actpass", "a=mid:0", "a=sendrecv", "a=rtcp-mux"):
        assert needed in lines
    assert any(line.startswith("a=fingerprint:sha-256 F8:85") for line in lines)
    for unneeded in ("red/", "PCMU", "telephone-event", "extmap", " tcp ", "transport-cc", "a=rtcp:9"):
        assert unneeded not in wire
    assert len(wire) < 1000
    assert wire.endswith("\r\n")
    assert "" not in lines[:-1]


def test_a_video_section_keeps_vp8_its_retransmission_and_bandwidth_feedback() -> None:
    wire = run_js("sdp.js", "return m.toWire(sdp)", sdp=CHROMIUM_AUDIO_OFFER + CHROMIUM_VIDEO_SECTION)
    video = wire[wire.index("m=video") :]
    assert video.startswith("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n")
    for kept in ("goog-remb", "nack pli", "apt=96", "abs-send-time", "transport-wide-cc"):
        assert kept in video
    for dropped in ("VP9", "AV1", "apt=98", "video-orientation"):
        assert dropped not in video


def test_a_poor_side_asks_for_long_frames_and_a_low_rate() -> None:
    wire = run_js("sdp.js", "return m.toWire(sdp, {low: true, complete: true})", sdp=CHROMIUM_AUDIO_OFFER)
    assert "a=fmtp:111 minptime=10;useinbandfec=1;maxaveragebitrate=12000\r\n" in wire
    assert wire.count("a=ptime:60\r\n") == 1
    assert wire.count("a=maxptime:60\r\n") == 1
    assert wire.count("a=end-of-candidates\r\n") == 1
    assert run_js("sdp.js", "return m.audioPreference(sdp)", sdp=wire) == {"ptimeMs": 60, "maxAverageBitrate": 12000}


def test_limits_are_replaced_not_piled_up_and_absent_when_nobody_asks() -> None:
    twice = run_js("sdp.js", "return m.fromWire(m.toWire(sdp, {low: true}), {low: true})", sdp=CHROMIUM_AUDIO_OFFER)
    assert twice.count("maxaveragebitrate=12000") == 1
    assert twice.count("a=ptime:60") == 1
    plain = run_js("sdp.js", "return m.fromWire(m.toWire(sdp))", sdp=CHROMIUM_AUDIO_OFFER)
    assert run_js("sdp.js", "return m.audioPreference(sdp)", sdp=plain) == {"ptimeMs": None, "maxAverageBitrate": None}


def test_what_the_far_end_asked_is_applied_as_it_is() -> None:
    asked = CHROMIUM_AUDIO_OFFER.replace("useinbandfec=1", "useinbandfec=1;maxaveragebitrate=16000\r\na=ptime:40")
    applied = run_js("sdp.js", "return m.fromWire(sdp)", sdp=asked)
    assert run_js("sdp.js", "return m.audioPreference(sdp)", sdp=applied) == {"ptimeMs": 40, "maxAverageBitrate": 16000}


def test_a_section_without_a_codec_of_ours_is_left_alone() -> None:
    foreign = CHROMIUM_AUDIO_OFFER.replace("opus/48000/2", "L16/48000/2")
    assert "telephone-event" in run_js("sdp.js", "return m.compact(sdp)", sdp=foreign)


def test_candidates_lose_their_tail_and_tcp_ones_are_not_sent() -> None:
    udp = "candidate:1 1 udp 2122194687 10.213.0.2 48418 typ host generation 0 ufrag ul08 network-id 1"
    tcp = "candidate:2 1 tcp 1518214911 10.213.0.2 9 typ host tcptype active generation 0"
    found = run_js("sdp.js", "return [m.compactCandidate(udp), m.compactCandidate(tcp)]", udp=udp, tcp=tcp)
    assert found == ["candidate:1 1 udp 2122194687 10.213.0.2 48418 typ host", None]


# ---- the policy

CALM = {
    "rttMs": 80, "lossIn": 0, "lossOut": 0, "availableKbit": None, "silentMs": 0,
    "sendsVideo": False, "wantsVideo": False, "farIsLow": False,
}  # fmt: skip
VIDEO = {**CALM, "sendsVideo": True, "wantsVideo": True, "availableKbit": 900}

RUN_POLICY = """
let state = m.openPolicy({ enabled, cap, atMs: 0 });
const seen = [];
samples.forEach((sample, at) => {
  state = m.judge(state, { ...sample, atMs: (at + 1) * 1000 });
  seen.push([state.cap, state.quality]);
});
return seen;
"""


def judge(samples: list[dict[str, object]], *, cap: str = "video", enabled: bool = True) -> list[tuple[str, str]]:
    """Returns (cap, quality) after each of the samples, one a second."""
    return [tuple(s) for s in run_js("degradation.js", RUN_POLICY, samples=samples, cap=cap, enabled=enabled)]


@pytest.mark.parametrize(
    ("rtt_ms", "effective_type", "enabled", "expected"),
    [
        (650, "4g", True, "low-audio"),
        (501, None, True, "low-audio"),
        (500, None, True, "video"),
        (60, "2g", True, "video"),  # what was measured beats what the browser guesses
        (None, "2g", True, "low-audio"),
        (None, "slow-2g", True, "low-audio"),
        (None, "4g", True, "video"),
        (None, None, True, "video"),
        (2000, "2g", False, "video"),
    ],
)
def test_what_a_call_starts_with(rtt_ms: int | None, effective_type: str | None, enabled: bool, expected: str) -> None:
    network = {"rttMs": rtt_ms, "effectiveType": effective_type, "enabled": enabled}
    assert run_js("degradation.js", "return m.startCap(network)", network=network) == expected


def test_a_calm_call_is_left_alone() -> None:
    assert set(judge([VIDEO] * 60)) == {("video", "good")}


def test_a_filling_queue_pauses_video_and_then_lowers_audio_within_ten_seconds() -> None:
    growing = [{**VIDEO, "rttMs": 100 + 110 * second} for second in range(5)]
    caps = [cap for cap, _ in judge(growing + [{**CALM, "wantsVideo": True, "rttMs": 620}] * 8)]
    assert caps[4] == "audio"
    assert caps[9] == "low-audio"


def test_a_network_that_was_always_slow_goes_straight_to_low_audio() -> None:
    caps = [cap for cap, _ in judge([{**VIDEO, "rttMs": 700}] * 6)]
    assert caps[-1] == "low-audio"
    assert "audio" not in caps


def test_a_queue_that_video_filled_costs_the_video_only() -> None:
    caps = [cap for cap, _ in judge([{**VIDEO, "rttMs": rtt} for rtt in (120, 700, 1500, 1800)] + [CALM] * 10)]
    assert caps[-1] == "audio"
    assert "low-audio" not in caps


def test_an_audio_call_has_one_step() -> None:
    caps = [cap for cap, _ in judge([CALM] * 3 + [{**CALM, "rttMs": 650}] * 6)]
    assert caps[-1] == "low-audio"
    assert "audio" not in caps


def test_one_bad_measurement_is_not_a_bad_network() -> None:
    samples = [CALM] * 5 + [{**CALM, "rttMs": 1500}] + [{**CALM, "rttMs": None}] * 3 + [CALM] * 3
    assert {cap for cap, _ in judge(samples)} == {"video"}


def test_a_stale_round_trip_is_not_judged_twice() -> None:
    samples = [{**CALM, "rttMs": 900}] + [{**CALM, "rttMs": None}] * 20
    assert {cap for cap, _ in judge(samples)} == {"video"}


def test_too_little_bandwidth_or_too_much_loss_pauses_video() -> None:
    assert judge([{**VIDEO, "availableKbit": 50}] * 5)[-1][0] == "audio"
    assert judge([{**VIDEO, "lossOut": 0.3}] * 6)[-1][0] == "audio"


def test_a_far_end_that_asked_for_low_audio_leaves_nothing_to_lower() -> None:
    assert {cap for cap, _ in judge([{**CALM, "rttMs": 700, "farIsLow": True}] * 20)} == {"video"}


def test_random_loss_alone_does_not_take_video_away() -> None:
    seen = judge([{**VIDEO, "lossIn": 0.05}] * 20)
    assert {cap for cap, _ in seen} == {"video"}
    assert seen[-1][1] == "fair"


def test_restoring_needs_a_quiet_time_and_goes_one_step_at_a_time() -> None:
    strained = [{**VIDEO, "rttMs": 1700}] * 8
    caps = [cap for cap, _ in judge(strained + [{**CALM, "wantsVideo": True}] * 60)]
    down = caps.index("low-audio")
    audio = caps.index("audio", down)
    video = caps.index("video", audio)
    assert audio - len(strained) >= 15
    assert video - audio >= 15


def test_a_restore_that_fails_doubles_the_wait() -> None:
    waiting = [{**CALM, "rttMs": 60}]
    samples = waiting * 20 + [{**CALM, "rttMs": 900}] * 8 + waiting * 60
    caps = [cap for cap, _ in judge(samples, cap="low-audio")]
    first = caps.index("video")
    lowered = caps.index("low-audio", first)
    again = caps.index("video", lowered)
    assert 14 <= first <= 17
    assert again - 28 >= 29  # 28: the second at which the network was calm again


def test_a_round_trip_that_stays_long_is_never_restored() -> None:
    caps = {cap for cap, _ in judge([{**CALM, "rttMs": 660}] * 120, cap="low-audio")}
    assert caps == {"low-audio"}


def test_without_the_policy_quality_is_told_and_nothing_is_changed() -> None:
    seen = judge([{**VIDEO, "rttMs": 1800, "lossIn": 0.2}] * 30, enabled=False)
    assert {cap for cap, _ in seen} == {"video"}
    assert seen[-1][1] == "poor"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "good"),
        ({"rttMs": 320}, "fair"),
        ({"rttMs": 700}, "poor"),
        ({"lossIn": 0.04}, "fair"),
        ({"lossOut": 0.11}, "poor"),
        ({"silentMs": 4000}, "poor"),
        ({"rttMs": None}, "good"),
    ],
)
def test_quality_in_one_word(change: dict[str, object], expected: str) -> None:
    assert judge([{**CALM, **change}] * 5)[-1][1] == expected


# ---- from statistics to samples

SAMPLE = "return m.sampleOf(m.counters(before, 1000), m.counters(now, 2000), flags)"
FLAGS = {"silentMs": 500, "sendsVideo": False, "wantsVideo": False}


def report(**changes: dict[str, object]) -> list[list[object]]:
    base: dict[str, dict[str, object]] = {
        "P": {
            "type": "candidate-pair", "nominated": True, "state": "succeeded", "currentRoundTripTime": 0.2,
            "responsesReceived": 3,
        },
        "I": {"type": "inbound-rtp", "kind": "audio", "packetsReceived": 100, "packetsLost": 2},
        "R": {
            "type": "remote-inbound-rtp", "kind": "audio", "roundTripTime": 0.3, "roundTripTimeMeasurements": 1,
            "fractionLost": 0.0,
        },
    }  # fmt: skip
    return [[key, {**stats, **changes.get(key, {}), "id": key}] for key, stats in base.items()]


def test_a_sample_is_the_difference_of_two_reports() -> None:
    now = report(
        I={"packetsReceived": 140, "packetsLost": 12},
        R={"roundTripTime": 0.45, "roundTripTimeMeasurements": 2, "fractionLost": 0.07},
    )
    sample = run_js("degradation.js", SAMPLE, before=report(), now=now, flags=FLAGS)
    assert sample["rttMs"] == pytest.approx(450)
    assert sample["lossIn"] == pytest.approx(0.2)
    assert sample["lossOut"] == pytest.approx(0.07)
    assert sample["silentMs"] == 500


def test_a_round_trip_counts_only_when_it_was_measured_since() -> None:
    assert run_js("degradation.js", SAMPLE, before=report(), now=report(), flags=FLAGS)["rttMs"] is None
    now = report(P={"currentRoundTripTime": 0.9, "responsesReceived": 4})
    assert run_js("degradation.js", SAMPLE, before=report(), now=now, flags=FLAGS)["rttMs"] == pytest.approx(900)


def test_a_report_without_media_or_pair_is_no_trouble() -> None:
    sample = run_js("degradation.js", SAMPLE, before=[], now=[], flags=FLAGS)
    assert sample["rttMs"] is None
    assert sample["lossIn"] == sample["lossOut"] == 0

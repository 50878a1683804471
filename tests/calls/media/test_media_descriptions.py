from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_calls import Ear, factory, open_leg, spec
from waiting import HANG_LIMIT_S

from calls.media.errors import BadDescription
from calls.media.ice.ice_candidate import read_candidate
from calls.media.rtp.rtp_header import ABS_SEND_TIME, MID, TRANSPORT_CC
from calls.media.sdp import negotiation, sdp

OFFERS = Path(__file__).parent / "descriptions"
CHROMIUM = (OFFERS / "chromium_156_audio_video_data.sdp").read_text()
OURS = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE a
a=ice-ufrag:abcd
a=ice-pwd:0123456789012345678901
a=fingerprint:sha-256 AA:BB
a=setup:actpass
m=audio 9 UDP/TLS/RTP/SAVPF 100
a=mid:a
a=rtpmap:100 opus/48000/2
a=fmtp:100 maxaveragebitrate=12000; useinbandfec=1
a=ptime:60
"""


def test_a_browser_s_offer_is_understood() -> None:
    description = sdp.parse(CHROMIUM)
    assert [section.kind for section in description.sections] == ["audio", "video", "application"]
    assert description.bundle == ["0", "1", "2"]
    audio, video = negotiation.audio_plan(description), negotiation.video_plan(description)
    assert (audio.payload_type, audio.mid, audio.direction) == (111, "0", "sendrecv")
    assert audio.extensions == {ABS_SEND_TIME: 2, TRANSPORT_CC: 3, MID: 4}
    assert video is not None
    assert (video.payload_type, video.mid) == (96, "1")
    assert negotiation.receive_preferences(description) == negotiation.ReceivePreferences(None, None)
    transport = description.transport()
    assert len(transport.ice_ufrag) >= 4
    assert transport.fingerprints[0][0] == "sha-256"
    assert description.setup() == "actpass"
    assert any(" udp " in candidate for candidate in description.candidates())


async def test_the_answer_keeps_the_offer_s_order_and_refuses_what_we_lack() -> None:
    async with factory() as made:
        leg = await open_leg(made, spec(media="video"), Ear())
        answer = sdp.parse(await leg.accept_offer(CHROMIUM))
        assert [section.mid for section in answer.sections] == ["0", "1", "2"]
        assert [bool(section.port) for section in answer.sections] == [True, True, False]
        assert answer.bundle == ["0", "1"]
        assert answer.setup() == "active"
        assert negotiation.receive_preferences(answer) == negotiation.ReceivePreferences(20, 24.0)
        assert answer.candidates_complete()


def test_wishes_and_session_level_attributes_are_read() -> None:
    description = sdp.parse(OURS)
    assert negotiation.receive_preferences(description) == negotiation.ReceivePreferences(60, 12.0)
    assert description.transport().ice_ufrag == "abcd"
    assert description.setup() == "actpass"
    assert negotiation.audio_plan(description).payload_type == 100


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("a=ptime:60", (60, None)),
        ("a=ptime:0", (None, None)),
        ("a=ptime:100000", (None, None)),
        ("a=fmtp:111 maxaveragebitrate=-5", (None, None)),
        ("a=fmtp:111 maxaveragebitrate=99999999", (None, None)),
        ("a=fmtp:111 maxaveragebitrate=lots", (None, None)),
        ("a=fmtp:111 maxaveragebitrate=8000;cbr=1", (None, 8.0)),
    ],
)
def test_absurd_wishes_are_no_wishes(wish: str, expected: tuple[int | None, float | None]) -> None:
    text = f"v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\n{wish}\n"
    assert negotiation.receive_preferences(sdp.parse(text)) == negotiation.ReceivePreferences(*expected)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "v=0"),
        ("<html>", "v=0"),
        ("v=0\n", "no media"),
        ("v=0\nm=audio\n", "makes no sense: 'm=audio'"),
        ("v=0\nm=audio x RTP 0\n", "makes no sense"),
        ("v=0\nm=audio 9 X 0\na=rtpmap:q opus/48000\n", "makes no sense"),
        ("v=0\n" + "a=x\n" * 30_000, "64 KiB"),
    ],
)
def test_nonsense_is_named(text: str, complaint: str) -> None:
    with pytest.raises(BadDescription, match=complaint):
        sdp.parse(text)


@pytest.mark.parametrize(
    ("removed", "complaint"),
    [
        ("a=ice-ufrag:abcd\n", "ICE"),
        ("a=fingerprint:sha-256 AA:BB\n", "fingerprint"),
        ("a=rtpmap:100 opus/48000/2\n", "not Opus"),
    ],
)
async def test_an_offer_that_lacks_something_is_refused(removed: str, complaint: str) -> None:
    async with factory() as made:
        leg = await open_leg(made, spec(), Ear())
        with pytest.raises(BadDescription, match=complaint):
            await leg.accept_offer(OURS.replace(removed, ""))
        assert leg.state == "new"


def read(name: str) -> str:
    return (OFFERS / name).read_text()


def test_a_format_line_without_parameters_is_passed_over() -> None:
    description = sdp.parse(read("fmtp_without_parameters.sdp"))
    plan = negotiation.audio_plan(description)
    assert (plan.payload_type, plan.mid) == (107, "0")
    audio = description.section("audio")
    assert audio is not None
    assert audio.codecs[107].parameters == {}
    assert audio.codecs[101].parameters == {"0-16": ""}
    for line in ("a=fmtp:", "a=fmtp: ", "a=rtcp-fb:107", "a=rtcp-fb:*", "a=extmap:3", "a=extmap:"):
        assert negotiation.audio_plan(sdp.parse(read("fmtp_without_parameters.sdp") + line + "\n")) == plan


async def test_video_behind_port_zero_is_taken_when_it_shares_the_transport() -> None:
    offer = read("max_bundle_port_zero.sdp")
    async with factory() as made:
        leg = await open_leg(made, spec(media="video"), Ear())
        answer = sdp.parse(await leg.accept_offer(offer))
        assert [(s.kind, s.mid, bool(s.port)) for s in answer.sections] == [("audio", "0", True), ("video", "1", True)]
        assert answer.bundle == ["0", "1"]
        video = negotiation.video_plan(answer)
        assert video is not None
        assert (video.payload_type, video.direction) == (120, "sendrecv")
        await leg.close()


@pytest.mark.parametrize("removed", ["a=bundle-only\n", "a=group:BUNDLE 0 1\n", "a=mid:1\n"])
async def test_video_behind_port_zero_alone_is_refused(removed: str) -> None:
    offer = read("max_bundle_port_zero.sdp")
    assert removed in offer
    async with factory() as made:
        leg = await open_leg(made, spec(media="video"), Ear())
        answer = sdp.parse(await leg.accept_offer(offer.replace(removed, "")))
        assert [bool(section.port) for section in answer.sections] == [True, False]
        assert answer.bundle == ["0"]
        await leg.close()


async def test_sections_that_share_a_mid_or_have_none_keep_their_kinds() -> None:
    for mid in ("a=mid:0\n", ""):
        offer = read("max_bundle_port_zero.sdp").replace("m=video 0", "m=video 9")
        offer = offer.replace("a=mid:0\n", mid).replace("a=mid:1\n", mid)
        async with factory() as made:
            leg = await open_leg(made, spec(media="video"), Ear())
            answer = sdp.parse(await leg.accept_offer(offer))
            assert [section.kind for section in answer.sections] == ["audio", "video"]
            assert answer.sections[0].codec("opus") is not None
            assert answer.sections[1].codec("vp8") is not None
            await leg.close()


@pytest.mark.parametrize(
    "line",
    [
        " 1 udp 2113939711 127.0.0.1 19000 typ host generation 0",
        "1 udp 2113939711 127.0.0.1 19000 typ host generation 0",
        "7 1 UDP 2113939711 127.0.0.1 19000 typ host",
        "7 1 udp 2113939711 ::1 19000 typ host",
    ],
)
def test_candidate_of_use(line: str) -> None:
    candidate = read_candidate(line)
    assert candidate is not None
    assert (candidate.port, candidate.component, candidate.type) == (19000, 1, "host")


@pytest.mark.parametrize(
    "line",
    [
        "",
        " 1 tcp 2113939710 127.0.0.1 19000 typ host tcptype passive",
        "1 1 udp 1 127.0.0.1 0 typ host",
        "1 1 udp 1 127.0.0.1 70000 typ host",
        "1 1 udp 1 127.0.0.1 -1 typ host",
        "1 1 udp 99999999999999999999 127.0.0.1 9 typ host",
        "1 1 udp 1 0.0.0.0 9 typ host",
        "1 1 udp 1 fe80::1%lo 9 typ host",
        "1 1 udp 1 5b3f.local 9 typ host",
        "1 2 udp 1 127.0.0.1 9 typ host",
        "1 1 udp 1 127.0.0.1 " + "9" * 5000 + " typ host",
    ],
)
def test_candidate_of_no_use(line: str) -> None:
    assert read_candidate(line) is None


async def test_candidate_without_a_foundation_is_checked() -> None:
    """The far end is ice-lite: it never checks by itself, so a candidate that we drop is a call that we lose."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far_end:
        far_end.bind(("127.0.0.1", 0))
        far_end.setblocking(False)
        port = far_end.getsockname()[1]
        offer = read("candidate_without_foundation.sdp").replace("19000", str(port))
        async with factory() as made:
            leg = await open_leg(made, spec(), Ear())
            answer = sdp.parse(await leg.accept_offer(offer))
            async with asyncio.timeout(HANG_LIMIT_S):
                datagram = await loop.sock_recv(far_end, 2048)
            assert f"q1W2:{answer.transport().ice_ufrag}".encode() in datagram
            assert leg.transport.ice.ice_controlling
            await leg.close()


def test_packet_time_out_of_range_is_a_bad_description() -> None:
    with pytest.raises(BadDescription, match="a=ptime:1e999"):
        sdp.parse(read("ptime_out_of_range.sdp"))


@pytest.mark.parametrize(
    "line",
    [
        "a=ptime:nan", "a=ptime:-inf", "a=ptime:1e999", "a=rtpmap:300 opus/48000/2", "a=rtpmap:-1 opus/48000",
        "a=rtpmap:1\u0661 opus/48000", "m=audio 70000 UDP/TLS/RTP/SAVPF 0", "a=mid:\u00e9", "a=ice-ufrag:\u00e9",
        "a=ice-pwd:" + "x" * 300, "a=extmap:99999 urn:x", "a=mid:\ud800", "a=extmap:" + "9" * 5000 + " urn:x",
    ],
)  # fmt: skip
def test_number_or_name_out_of_range_is_a_bad_description(line: str) -> None:
    with pytest.raises(BadDescription):
        sdp.parse(OURS + line + "\n")


def test_a_bitrate_of_thousands_of_digits_is_no_wish() -> None:
    text = OURS.replace("maxaveragebitrate=12000", "maxaveragebitrate=" + "1" * 5000)
    assert negotiation.receive_preferences(sdp.parse(text)) == negotiation.ReceivePreferences(60, None)


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, "v=0\n" + text, OURS + text):
        try:
            description = sdp.parse(candidate)
        except BadDescription:
            continue
        negotiation.receive_preferences(description)
        negotiation.video_plan(description)
        description.candidates()

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_calls import Ear, factory, open_leg, spec

from calls.media import negotiation, sdp
from calls.media.errors import BadDescription
from calls.media.rtp_header import ABS_SEND_TIME, MID, TRANSPORT_CC

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
    assert negotiation.wishes(description) == negotiation.Wishes(None, None)
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
        assert negotiation.wishes(answer) == negotiation.Wishes(20, 24.0)
        assert answer.candidates_complete()


def test_wishes_and_session_level_attributes_are_read() -> None:
    description = sdp.parse(OURS)
    assert negotiation.wishes(description) == negotiation.Wishes(60, 12.0)
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
    assert negotiation.wishes(sdp.parse(text)) == negotiation.Wishes(*expected)


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


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, "v=0\n" + text, OURS + text):
        try:
            description = sdp.parse(candidate)
        except BadDescription:
            continue
        negotiation.wishes(description)
        negotiation.video_plan(description)
        description.candidates()

"""Every way a call can go, between real clients of a real process."""

from __future__ import annotations

import pytest
from service_process import SDP, RunningService

pytestmark = pytest.mark.integration


async def test_call_walks_from_invite_to_hangup(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await ann.say("call.invite", call_id="c", to="bob", media="video", sdp=SDP)
    await ann.expect("call.trying", call_id="c")
    incoming = await bob.expect("call.incoming", call_id="c", media="video", sdp=SDP, display_name="Ann")
    assert incoming["from"] == "ann"
    await bob.say("call.ringing", call_id="c")
    await ann.expect("call.ringing", call_id="c")
    await bob.say("call.answer", call_id="c", media="audio", sdp="answer")
    await ann.expect("call.answered", call_id="c", media="audio", sdp="answer")
    await ann.say("call.hangup", call_id="c")
    await service.hear_end("c", "hangup", "ann", ann, bob)
    logged = await service.logged("c")
    assert logged["outcome"] == "hangup"
    times = [logged[f"{stage}_at_ms"] for stage in ("invited", "ringing", "answered", "answer_relayed", "ended")]
    assert times == sorted(times)
    assert [event["event"] for event in logged["events"]] == [
        "invited",
        "ringing",
        "answered",
        "answer_relayed",
        "ended",
    ]

"""Calls that ring nobody."""

from __future__ import annotations

import pytest
from service_process import SDP, RunningService

pytestmark = pytest.mark.integration


async def test_a_shadow_call_is_routed_and_nobody_hears_of_it(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    tablet = await service.connect("bob")
    await ann.say("call.shadow", call_id="s", to="bob", media="audio", sdp=SDP)
    await ann.expect("call.trying", call_id="s")
    await ann.expect("call.ended", call_id="s", reason="shadowed", by=None, devices=2)
    await bob.expect_silence()
    await tablet.expect_silence()
    assert (await service.logged("s"))["outcome"] == "shadowed"
    for person in (ann, bob):
        await person.say("call.history", ref=1)
        assert (await person.expect("call.history", ref=1))["calls"] == []
        await person.say("thread.read", ref=2, **{"with": "bob" if person is ann else "ann"})
        assert (await person.expect("thread.messages", ref=2))["calls"] == []
    stats = await service.admin("GET", "/admin/stats")
    assert (stats["calls"], stats["active_calls"]) == ({"shadowed": 1}, 0)
    await service.talk(ann, bob)


async def test_a_shadow_call_is_refused_as_a_real_one_would_be(service: RunningService) -> None:
    await service.seed("ann", "bob", "cat", "dan")
    ann, bob, cat = [await service.connect(name) for name in ("ann", "bob", "cat")]
    await ann.say("call.shadow", call_id="nobody", to="dan", media="audio", sdp=SDP)
    await ann.expect("call.refused", call_id="nobody", code="offline")
    await ann.say("call.shadow", call_id="unknown", to="zed", media="audio", sdp=SDP)
    await ann.expect("call.refused", call_id="unknown", code="unknown_user")
    await ann.say("call.shadow", call_id="self", to="ann", media="audio", sdp=SDP)
    await ann.expect("error", call_id="self", code="bad_message")
    call_id = await service.talk(ann, bob)
    await cat.say("call.shadow", call_id="taken", to="bob", media="audio", sdp=SDP)
    await cat.expect("call.refused", call_id="taken", code="busy")
    await cat.say("call.shadow", call_id=call_id, to="dan", media="audio", sdp=SDP)
    await cat.expect("call.refused", call_id=call_id, code="duplicate")
    await cat.say("call.history", ref=1)
    assert (await cat.expect("call.history", ref=1))["calls"] == []
    await bob.say("control.block", name="cat", ref=2)
    await bob.expect("control.state", ref=2)
    await cat.say("call.shadow", call_id="barred", to="bob", media="audio", sdp=SDP)
    await cat.expect("call.refused", call_id="barred", code="blocked")
    assert (await service.logged("barred"))["outcome"] == "shadow_blocked"

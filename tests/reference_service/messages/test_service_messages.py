"""Messages and threads: order, pages, unread counts, and what people decide about each other."""

from __future__ import annotations

import pytest
from service_process import SDP, Client, RunningService, Start

pytestmark = pytest.mark.integration


async def send(sender: Client, to: str, text: str) -> int:
    await sender.say("message.send", ref="r", to=to, text=text)
    return int((await sender.expect("message.ack", ref="r"))["seq"])


async def test_message_reaches_every_device_of_the_recipient(service: RunningService) -> None:
    ann, phone, tablet = [await service.connect(name) for name in ("ann", "bob", "bob")]
    seq = await send(ann, "bob", "hello ✓")
    for device in (phone, tablet):
        await device.expect("message.new", seq=seq, text="hello ✓", **{"from": "ann"})


async def test_thread_list_shows_the_latest_message_and_what_is_unread(service: RunningService) -> None:
    ann, bob, cat = [await service.connect(name) for name in ("ann", "bob", "cat")]
    await send(ann, "bob", "one")
    await send(ann, "bob", "two")
    await send(cat, "bob", "three")
    for _ in range(3):
        await bob.expect("message.new")
    await bob.say("thread.list", ref=1)
    threads = (await bob.expect("thread.list", ref=1))["threads"]
    assert [(t["with"], t["unread"], t["last"]["text"]) for t in threads] == [("cat", 1, "three"), ("ann", 2, "two")]
    assert (threads[1]["display_name"], threads[1]["online"], threads[1]["last"]["from"]) == ("Ann", True, "ann")
    await bob.say("thread.list", ref=2, before=threads[0]["last"]["seq"], limit=1)
    older = (await bob.expect("thread.list", ref=2))["threads"]
    assert [thread["with"] for thread in older] == ["ann"]
    await bob.say("thread.read", ref=3, **{"with": "ann"})
    await bob.expect("thread.messages", ref=3)
    await bob.say("thread.list", ref=4)
    threads = (await bob.expect("thread.list", ref=4))["threads"]
    assert {thread["with"]: thread["unread"] for thread in threads} == {"cat": 1, "ann": 0}


async def test_thread_is_read_in_pages_with_the_calls_between(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    sent = [await send(ann, "bob", f"text {number}") for number in range(7)]
    for _ in sent:
        await bob.expect("message.new")
    call_id = await service.talk(bob, ann)
    await bob.say("call.hangup", call_id=call_id)
    await service.hear_end(call_id, "hangup", "bob", ann, bob)
    last = await send(ann, "bob", "after the call")
    await ann.say("thread.read", ref="p1", limit=3, **{"with": "bob"})
    newest = await ann.expect("thread.messages", ref="p1", **{"with": "bob"})
    assert [message["seq"] for message in newest["messages"]] == [*sent[-2:], last]
    (call,) = newest["calls"]
    assert (call["call_id"], call["from"], call["media"], call["outcome"]) == (call_id, "bob", "audio", "hangup")
    assert call["answered"] is True
    assert call["duration_ms"] >= 0
    await ann.say("thread.read", ref="p2", limit=50, before=newest["messages"][0]["seq"], **{"with": "bob"})
    older = await ann.expect("thread.messages", ref="p2")
    assert [message["seq"] for message in older["messages"]] == sent[:-2]


async def test_reading_and_writing_to_nobody(service: RunningService) -> None:
    ann = await service.connect("ann")
    for kind, fields in (
        ("message.send", {"to": "zoe", "text": "x"}),
        ("message.send", {"to": "ann", "text": "x"}),
        ("thread.read", {"with": "zoe"}),
        ("control.block", {"name": "zoe"}),
    ):
        await ann.say(kind, ref=9, **fields)
        await ann.expect("error", ref=9, code="unknown_user")


async def test_history_tells_who_called_when_and_how_long(service: RunningService) -> None:
    ann, bob, cat = [await service.connect(name) for name in ("ann", "bob", "cat")]
    talked = await service.talk(bob, ann)
    await bob.say("call.hangup", call_id=talked)
    await service.hear_end(talked, "hangup", "bob", ann, bob)
    missed = await service.ring(cat, ann)
    await cat.say("call.cancel", call_id=missed)
    await service.hear_end(missed, "canceled", "cat", ann, cat)
    await ann.say("call.history", ref=1)
    calls = (await ann.expect("call.history", ref=1))["calls"]
    assert [(c["call_id"], c["from"], c["outcome"], c["answered"]) for c in calls] == [
        (missed, "cat", "canceled", False),
        (talked, "bob", "hangup", True),
    ]


@pytest.mark.parametrize(
    ("who", "friend_may", "follower_may"),
    [("everyone", True, True), ("close_friends", True, False), ("nobody", False, False)],
)
async def test_person_decides_who_may_call(start: Start, who: str, friend_may: bool, follower_may: bool) -> None:
    service = await start()
    await service.seed("ann", "friend", "fan", follows=[("fan", "ann")], close_friends=[("ann", "friend")])
    ann = await service.connect("ann")
    await ann.say("control.get", ref=0)
    await ann.expect("control.state", ref=0, who="following", blocked=[])
    await ann.say("control.set", ref=1, who=who)
    await ann.expect("control.state", ref=1, who=who)
    for name, may in (("friend", friend_may), ("fan", follower_may)):
        caller = await service.connect(name)
        if may:
            call_id = await service.ring(caller, ann)
            await caller.say("call.cancel", call_id=call_id)
            await service.hear_end(call_id, "canceled", name, caller, ann)
        else:
            await caller.say("call.invite", call_id=name, to="ann", media="audio", sdp=SDP)
            await caller.expect("call.refused", code="blocked")
    await ann.expect_silence()


async def test_block_ends_the_call_and_bars_calls_and_messages_until_taken_back(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.talk(bob, ann)
    await ann.say("control.block", ref=1, name="bob")
    await service.hear_end(call_id, "hangup", "ann", bob, ann)
    await ann.expect("control.state", ref=1, blocked=["bob"])
    await bob.say("call.invite", call_id="again", to="ann", media="audio", sdp=SDP)
    await bob.expect("call.refused", call_id="again", code="blocked")
    await bob.say("message.send", ref=2, to="ann", text="please")
    await bob.expect("error", ref=2, code="blocked")
    await ann.expect_silence()
    await ann.say("thread.read", ref=3, **{"with": "bob"})
    seen = (await ann.expect("thread.messages", ref=3))["calls"]
    assert [call["call_id"] for call in seen] == [call_id]
    await ann.say("control.unblock", ref=4, name="bob")
    await ann.expect("control.state", ref=4, blocked=[])
    await send(bob, "ann", "thanks")
    await ann.expect("message.new", text="thanks")


async def test_report_is_kept_for_the_operator(service: RunningService) -> None:
    ann = await service.connect("ann")
    await ann.say("control.report", ref=1, name="bob", reason="spam", call_id="c")
    await ann.expect("control.reported", ref=1, name="bob")
    reports = (await service.admin("GET", "/admin/reports"))["reports"]
    assert [(r["reporter"], r["name"], r["reason"], r["call_id"]) for r in reports] == [("ann", "bob", "spam", "c")]


async def test_contacts_show_fresh_presence(service: RunningService) -> None:
    ann = await service.connect("ann")
    assert {contact["name"]: contact["online"] for contact in ann.welcome["contacts"]} == {"bob": False, "cat": False}
    await service.connect("bob")
    await ann.say("contacts.list", ref=1)
    contacts = (await ann.expect("contacts", ref=1))["contacts"]
    assert [(contact["name"], contact["online"]) for contact in contacts] == [("bob", True), ("cat", False)]

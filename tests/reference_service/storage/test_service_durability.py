"""What a ``kill -9``, a stop and a restart leave: every acknowledged message and every call."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
from pathlib import Path

import pytest
from service_process import SDP, RunningService, Start, adopt, launch, running
from waiting import HANG_LIMIT_S

from reference_service.service import CLOSE_CONNECTIONS_S

pytestmark = pytest.mark.integration
SERVER_STOP_S = 1.0
"""What the web server waits for handlers of its own, by ``shutdown_timeout``."""


async def flood(service: RunningService, acknowledged: list[str], enough: asyncio.Event) -> None:
    ann = await service.connect("ann")
    for number in range(100_000):
        await ann.say("message.send", ref=str(number), to="bob", text=f"text {number}")
        if number >= 30:
            heard = await ann.hear()
            if heard["type"] == "message.ack":
                acknowledged.append(f"text {heard['ref']}")
        if len(acknowledged) == 200:
            enough.set()


async def test_kill_loses_no_acknowledged_message(tmp_path: Path) -> None:
    database, acknowledged, enough = tmp_path / "service.sqlite", [], asyncio.Event()
    async with running(database) as service:
        await service.seed("ann", "bob")
        flooding = asyncio.create_task(flood(service, acknowledged, enough))
        await asyncio.wait_for(enough.wait(), HANG_LIMIT_S)
        await service.kill()
        with pytest.raises((AssertionError, ConnectionError)):
            await flooding
    async with running(database) as service:
        bob = await service.connect("bob")
        kept, before = set(), None
        while True:
            await bob.say("thread.read", ref=1, limit=200, before=before, **{"with": "ann"})
            page = (await bob.expect("thread.messages"))["messages"]
            kept |= {message["text"] for message in page}
            if not page:
                break
            before = page[0]["seq"]
        assert len(acknowledged) >= 200
        assert set(acknowledged) <= kept
        ann = await service.connect("ann")
        await ann.say("message.send", ref="x", to="bob", text="after")
        assert (await ann.expect("message.ack"))["seq"] > len(acknowledged)


async def test_kill_loses_no_call_that_anybody_heard_of(tmp_path: Path) -> None:
    database = tmp_path / "service.sqlite"
    async with running(database) as service:
        await service.seed("ann", "bob", "cat", "dan")
        ann, bob = await service.connect("ann"), await service.connect("bob")
        cat, dan = await service.connect("cat"), await service.connect("dan")
        ended = await service.talk(ann, bob)
        open_call = await service.talk(cat, dan)
        await ann.say("call.hangup", call_id=ended)
        await ann.expect("call.ended")
        await ann.say("call.invite", call_id="just-begun", to="bob", media="audio", sdp=SDP)
        await ann.expect("call.trying")
        await service.kill()
    async with running(database) as service:
        assert (await service.logged(ended))["outcome"] == "hangup"
        assert (await service.logged("just-begun"))["outcome"] == "interrupted"
        interrupted = await service.logged(open_call)
        assert interrupted["outcome"] == "interrupted"
        assert interrupted["ended_at_ms"] >= interrupted["answered_at_ms"]
        cat = await service.connect("cat")
        await cat.say("call.resume", call_id=open_call)
        await service.hear_end(open_call, "peer_lost", None, cat)


async def test_tokens_people_and_controls_outlive_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "service.sqlite"
    async with running(database) as service:
        await service.seed("ann", "bob")
        ann = await service.connect("ann")
        await ann.say("control.set", who="nobody")
        await ann.expect("control.state")
        await ann.say("control.block", name="bob")
        await ann.expect("control.state")
        token = await service.sign_in("ann")
    async with running(database) as service:
        socket = await service.open_socket()
        await socket.send_json({"type": "hello", "token": token, "client": "test"})
        assert (await socket.receive_json())["type"] == "welcome"
        await socket.send_json({"type": "control.get", "ref": 1})
        state = await socket.receive_json()
        assert (state["who"], state["blocked"]) == ("nobody", ["bob"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_stop_ends_calls_and_closes_sockets_cleanly(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    service = await start()
    await service.seed("ann", "bob")
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.talk(ann, bob)
    service.process.send_signal(number)
    await service.hear_end(call_id, "peer_lost", None, ann, bob)
    assert (await ann.expect_close(), await bob.expect_close()) == (1001, 1001)
    assert await asyncio.wait_for(service.process.wait(), HANG_LIMIT_S) == 0
    with sqlite3.connect(tmp_path / "service.sqlite") as database:
        assert database.execute("SELECT outcome FROM calls").fetchall() == [("peer_lost",)]
    database.close()


async def stopped_after_s(service: RunningService) -> float:
    began_s = asyncio.get_running_loop().time()
    assert await service.stop() == 0
    return asyncio.get_running_loop().time() - began_s


async def test_stop_does_not_wait_for_a_client_that_reads_nothing(service: RunningService, tmp_path: Path) -> None:
    """The service's own second for a goodbye and one for the server; the rest is what this machine needs for a stop."""
    async with running(tmp_path / "nobody.sqlite") as alone:
        usual_s = await stopped_after_s(alone)
    ann = await service.connect("ann")
    assert ann.socket._writer is not None
    ann.socket._writer.transport.pause_reading()  # type: ignore[attr-defined]
    assert await stopped_after_s(service) < 2 * (CLOSE_CONNECTIONS_S + SERVER_STOP_S) + 10 * usual_s


async def test_ends_with_its_parent_when_asked_to(start: Start, tmp_path: Path) -> None:
    service = await start("--exit-on-stdin-eof")
    assert service.process.stdin is not None
    service.process.stdin.close()
    assert await asyncio.wait_for(service.process.wait(), HANG_LIMIT_S) == 0


async def test_second_service_on_the_same_database_is_refused(service: RunningService, tmp_path: Path) -> None:
    second = await launch("--database", tmp_path / "service.sqlite")
    _, complaint = await second.communicate()
    assert second.returncode == 5
    assert "in use by another service process" in complaint.decode()
    assert len(complaint.decode().splitlines()) == 1


async def test_full_disk_refuses_messages_and_loses_none(tmp_path: Path) -> None:
    database = tmp_path / "full.sqlite"
    process = await launch("--database", database)
    async with adopt(process) as service:
        await service.seed("ann", "bob")
        ann, bob = await service.connect("ann"), await service.connect("bob")
        limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        used_bytes = os.stat(f"{database}-wal").st_size
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (used_bytes + 100_000, limits[1]))
        acknowledged = set()
        for number in range(200):
            await ann.say("message.send", ref=number, to="bob", text="x" * 3000)
            heard = await ann.hear()
            if heard["type"] == "error":
                break
            acknowledged.add(heard["seq"])
        assert (heard["code"], heard["ref"]) == ("storage", number)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
        await ann.say("message.send", ref="again", to="bob", text="room again")
        acknowledged.add((await ann.expect("message.ack", ref="again"))["seq"])
        delivered = {(await bob.expect("message.new"))["seq"] for _ in acknowledged}
        assert delivered == acknowledged
        assert await service.stop() == 0
        assert process.stderr is not None
        told = (await process.stderr.read()).decode().splitlines()
        assert len(told) == 2, told
        assert "nothing can be stored" in told[0]
        assert "storing works again" in told[1]

"""A disk that is really full: a small tmpfs in a mount namespace of the service's own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from service_process import REPOSITORY, SDP, TOKEN, RunningService
from waiting import HANG_LIMIT_S, eventually_async

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system"),
]

DISK = "1m"
MOUNTED = 'mount -t tmpfs -o size="$1",mode=700 tmpfs "$2" && shift 2 && exec "$@"'


class SmallDisk:
    """The file system of the service, seen through its own root."""

    def __init__(self, process: asyncio.subprocess.Process, mount: Path) -> None:
        self._filler = Path(f"/proc/{process.pid}/root{mount}/filler")

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(b"x" * 4096):
                pass

    def free(self) -> None:
        self._filler.unlink()


@contextlib.asynccontextmanager
async def on_a_small_disk(mount: Path) -> AsyncIterator[tuple[RunningService, SmallDisk]]:
    os.mkdir(mount)
    process = await asyncio.create_subprocess_exec(
        "unshare", "-m", "sh", "-c", MOUNTED, "sh", DISK, str(mount),
        sys.executable, "-m", "reference_service", "--database", str(mount / "service.sqlite"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=REPOSITORY, env={**os.environ, "RINGFENCE_ADMIN_TOKEN": TOKEN},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), HANG_LIMIT_S)
        if not line:
            raise AssertionError((await process.stderr.read()).decode())
        async with aiohttp.ClientSession() as http:
            service = RunningService(process, json.loads(line)["url"], http)
            try:
                yield service, SmallDisk(process, mount)
            finally:
                await service.close_sockets()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_nothing_is_said_to_be_stored_that_is_not(tmp_path: Path) -> None:
    async with on_a_small_disk(tmp_path / "disk") as (service, disk):
        await service.seed("ann", "bob", "cat")
        ann, bob = await service.connect("ann"), await service.connect("bob")
        await ann.say("message.send", ref=1, to="bob", text="kept")
        await ann.expect("message.ack", ref=1)
        await bob.expect("message.new", text="kept")
        talk = await service.talk(ann, bob)
        disk.fill()
        for number in range(300):  # what room SQLite's own log has kept is used up by messages that are stored
            await ann.say("message.send", ref=number, to="bob", text="x" * 3000)
            heard = await ann.hear()
            if heard["type"] == "error":
                break
            await bob.expect("message.new", seq=heard["seq"])
        assert (heard["type"], heard["code"], heard["ref"]) == ("error", "storage", number)

        # A call that is on ends for both, and its end says that the log lacks it.
        await ann.say("call.hangup", call_id=talk)
        for person in (ann, bob):
            ended = await person.expect("call.ended", call_id=talk, reason="hangup")
            assert ended.get("logged") is False

        # A new call is refused, in plain words; whoever it rang at hears of its end.
        await ann.say("call.invite", call_id="unstored", to="bob", media="audio", sdp=SDP)
        await ann.expect("error", call_id="unstored", code="storage")
        assert (await bob.hear())["type"] == "call.incoming"
        await bob.expect("call.ended", call_id="unstored", reason="peer_lost", by=None)
        await ann.say("call.shadow", call_id="shadow", to="bob", media="audio", sdp=SDP)
        await ann.expect("error", call_id="shadow", code="storage")

        # A control that cannot be kept is not in force.
        await bob.say("control.block", ref=2, name="ann")
        await bob.expect("error", ref=2, code="storage")
        await bob.say("control.set", ref=3, who="nobody")
        await bob.expect("error", ref=3, code="storage")
        await bob.say("control.get", ref=4)
        await bob.expect("control.state", ref=4, who="following", blocked=[])

        # What is stored can still be read, and the operator is told.
        await bob.say("thread.read", ref=5, **{"with": "ann"})
        assert (await bob.expect("thread.messages", ref=5))["messages"]
        body = {"users": [{"name": "dan", "display_name": "Dan", "password": "dan"}]}
        assert (await service.admin("POST", "/admin/seed", body, status=507))["error"] == "storage"
        assert (await service.admin("GET", "/admin/stats"))["store"]["problem"]
        await ann.expect_silence()
        await bob.expect_silence()

        disk.free()
        await ann.say("message.send", ref="again", to="bob", text="room again")
        await ann.expect("message.ack", ref="again")
        await bob.expect("message.new", text="room again")
        await service.talk(ann, bob)
        assert (await service.admin("GET", "/admin/stats"))["store"]["problem"] == ""
        assert (await service.admin("GET", "/admin/calls?call_id=unstored"))["calls"] == []
        assert await service.stop() == 0
        assert service.process.stderr is not None
        told = (await service.process.stderr.read()).decode()
        assert "Traceback" not in told
        assert [("nothing can be stored" in line, "works again" in line) for line in told.splitlines()] == [
            (True, False),
            (False, True),
        ]


async def test_a_service_that_stops_on_a_full_disk_stops_cleanly(tmp_path: Path) -> None:
    async with on_a_small_disk(tmp_path / "disk") as (service, disk):
        await service.seed("ann", "bob")
        ann, bob = await service.connect("ann"), await service.connect("bob")
        await service.talk(ann, bob)
        disk.fill()
        refused = False

        async def is_refused() -> bool:
            await ann.say("message.send", ref=1, to="bob", text="x" * 3000)
            return (await ann.hear())["type"] == "error"

        for _ in range(300):
            refused = refused or await is_refused()
        assert refused
        assert await service.stop() == 0
        assert await eventually_async(lambda: service.process.returncode is not None)

"""Nobody gets in, and nobody keeps others out: tokens, files, sockets, silence, and what no number holds."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from pathlib import Path

import aiohttp
import pytest
from service_process import TOKEN, Client, RunningService, Start, adopt, launch
from waiting import HANG_LIMIT_S, eventually_async

from reference_service import admin, connection_limiter
from reference_service.faults import FaultOrder, Faults
from reference_service.people import accounts

pytestmark = pytest.mark.integration

KEY = b"k" * 32
HASHED = accounts.hash_password("right")


def test_a_token_ends_at_its_time() -> None:
    token = accounts.make_token("ann", HASHED, 1000.0, KEY)
    assert accounts.read_token(token, {"ann": HASHED}.get, 999.0, KEY) == "ann"
    assert accounts.read_token(token, {"ann": HASHED}.get, 1000.0, KEY) is None


def test_a_token_ends_with_the_password_the_account_and_the_key() -> None:
    token = accounts.make_token("ann", HASHED, 1000.0, KEY)
    assert accounts.read_token(token, {"ann": accounts.hash_password("right")}.get, 1.0, KEY) is None
    assert accounts.read_token(token, {"bob": HASHED}.get, 1.0, KEY) is None
    assert accounts.read_token(token, {"ann": HASHED}.get, 1.0, b"x" * 32) is None


def test_nothing_in_a_token_can_be_changed() -> None:
    token = accounts.make_token("ann", HASHED, 1000.0, KEY)
    subject, expires, signature = token.split(".")
    known = {"ann": HASHED, "bob": HASHED}.get
    forged = accounts.make_token("bob", HASHED, 1000.0, b"x" * 32).split(".")
    for wrong in (
        f"{subject}.9999.{signature}", f"{forged[0]}.{expires}.{signature}", f"{subject}.{signature}", signature, "",
        "..", "a.b.c", f"{subject}.{expires}.", f"{subject}.{expires}.\u00fc", "\u00fc" * 9, f"{token}.{signature}",
    ):  # fmt: skip
        assert accounts.read_token(wrong, known, 1.0, KEY) is None, wrong


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def says_hello(service: RunningService, token: str) -> str:
    socket = await service.open_socket()
    await socket.send_json({"type": "hello", "token": token})
    answer = await socket.receive_json(timeout=HANG_LIMIT_S)
    return str(answer.get("code", answer["type"]))


async def test_a_token_that_has_expired_lets_nobody_in(start: Start) -> None:
    service = await start("--token-lifetime-s", "1")
    await service.seed("ann", "bob")
    first = await service.sign_in("ann")
    signed_in = await service.connect("bob")
    ends_at_s = time.time() + 1.0
    assert await eventually_async(lambda: time.time() > ends_at_s)
    assert await says_hello(service, first) == "bad_token"
    await signed_in.expect_silence()  # an open socket stays


async def test_a_new_password_ends_tokens_and_sockets_and_an_old_one_seeded_again_does_not(
    service: RunningService,
) -> None:
    ann, bob, token = await service.connect("ann"), await service.connect("bob"), await service.sign_in("ann")
    await service.seed("ann", "bob")
    assert await says_hello(service, token) == "welcome"
    await ann.expect_silence()
    changed = {"name": "ann", "display_name": "Ann", "password": "new"}
    await service.admin("POST", "/admin/seed", {"users": [changed]})
    assert await ann.expect_close() == 4401
    assert await says_hello(service, token) == "bad_token"
    await bob.expect_silence()


@pytest.mark.parametrize("umask", [0o000, 0o022])
async def test_the_database_is_its_owner_s_alone(tmp_path: Path, umask: int) -> None:
    database = tmp_path / "service.sqlite"
    database.touch(0o666)
    os.chmod(database, 0o666)
    before = os.umask(umask)
    try:
        process = await launch("--database", database)
    finally:
        os.umask(before)
    async with adopt(process) as service:
        await service.seed("ann")
        beside = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)}
        assert set(beside) == {"service.sqlite", "service.sqlite-wal", "service.sqlite-shm", "service.sqlite.lock"}
        assert set(beside.values()) == {0o600}, beside
        await service.stop()


async def test_a_database_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    process = await launch("--database", tmp_path / "pipe")
    _, complaint = await asyncio.wait_for(process.communicate(), HANG_LIMIT_S)
    assert process.returncode == 5
    assert "not a regular file" in complaint.decode()


async def test_a_person_has_sixteen_sockets_whatever_the_burst(service: RunningService) -> None:
    token = await service.sign_in("ann")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as crowd:
        sockets = await asyncio.gather(*(crowd.ws_connect(f"{service.url}/ws") for _ in range(208)))
        hello = json.dumps({"type": "hello", "token": token})
        await asyncio.gather(*(socket.send_str(hello) for socket in sockets))
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, (await service.admin("GET", "/admin/stats"))["sockets"])

        watching = asyncio.create_task(watch())
        ends = [asyncio.create_task(_close_code(socket)) for socket in sockets]
        try:
            assert await eventually_async(lambda: sum(end.done() for end in ends) >= 208 - 16)
            assert await eventually_async(lambda: most > 0)
            live = [socket for socket, end in zip(sockets, ends, strict=True) if not end.done()]
            assert len(live) == 16
        finally:
            for task in (watching, *ends):
                task.cancel()
            await asyncio.gather(watching, *ends, return_exceptions=True)
        assert most <= 16
        for socket in live:  # the ones that stay do work
            await Client("ann", socket).expect_silence()


async def _close_code(socket: aiohttp.ClientWebSocketResponse) -> int:
    while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    return socket.close_code or 0


async def dial(service: RunningService) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    port = int(service.url.rpartition(":")[2])
    return await asyncio.open_connection("127.0.0.1", port)


async def test_silent_connections_are_few_and_keep_nobody_out(start: Start) -> None:
    service = await start("--max-waiting", "50")
    await service.seed("ann", "bob")
    ann = await service.connect("ann")
    silent = [await dial(service) for _ in range(300)]
    try:
        bob = await service.connect("bob")
        await service.talk(ann, bob)
        stats = await service.admin("GET", "/admin/stats")
        assert stats["waiting"] <= 50
        assert stats["turned_away"] >= 250
        async with asyncio.timeout(HANG_LIMIT_S):
            for reader, _ in silent[:200]:
                assert await _ends(reader)
    finally:
        for _, writer in silent:
            writer.close()


async def _ends(reader: asyncio.StreamReader) -> bool:
    try:
        await reader.read()
        return True
    except ConnectionError:
        return True


SLOW = {
    "silent": b"",
    "half a request line": b"GET /hea",
    "headers without an end": b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: b\r\n",
    "no body": b"POST /api/sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n{",
    "no hello": b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
    b"\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    "nothing after an answer": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
}


async def test_whoever_stops_in_the_middle_is_cut_off(start: Start) -> None:
    service = await start("--silence-s", "0.2")

    async def waits(said: bytes) -> None:
        reader, writer = await dial(service)
        writer.write(said)
        assert await _ends(reader), said
        writer.close()

    async with asyncio.timeout(HANG_LIMIT_S):
        await asyncio.gather(*(waits(said) for said in SLOW.values()))


async def test_headers_without_an_end_are_bounded_in_size(service: RunningService) -> None:
    reader, writer = await dial(service)
    writer.write(b"GET /health HTTP/1.1\r\n")
    sent = 0
    try:
        for number in range(1_000_000):
            writer.write(b"X-%d: %s\r\n" % (number, b"y" * 1000))
            sent += 1000
            await writer.drain()
            if reader.at_eof() or reader.exception():
                break
    except ConnectionError:
        pass
    finally:
        writer.close()
    assert sent < 50_000_000
    assert (await service.admin("GET", "/admin/stats"))["users"] == 3
    assert connection_limiter.MAX_HEAD_BYTES <= 128 * 1024


async def test_a_large_seed_in_one_piece_is_no_large_head(service: RunningService) -> None:
    names = [f"person-{number}" for number in range(200)]
    padded = [{"name": name, "display_name": "x" * 100, "password": "p" * 199} for name in names]
    follows = [["ann", name] for name in names for _ in range(50)]
    answer = await service.admin("POST", "/admin/seed", {"users": padded, "follows": follows})
    assert answer["users"] == 200


async def test_a_sign_in_of_many_bytes_is_refused(service: RunningService) -> None:
    body = json.dumps({"name": "ann", "password": "ann", "x": "y" * 1_000_000})
    async with service.http.post(f"{service.url}/api/sign-in", data=body) as response:
        assert response.status == 413


@pytest.mark.parametrize("given", [b"Bearer w\xf6", b"\xff\xfe", b"Bearer \xc3", b"B" * 7000])
async def test_an_authorization_that_is_no_text_is_wrong_and_no_fault(service: RunningService, given: bytes) -> None:
    reader, writer = await dial(service)
    writer.write(b"GET /admin/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " + given + b"\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), HANG_LIMIT_S)
    writer.close()
    assert answer.startswith((b"HTTP/1.1 401", b"HTTP/1.1 400")), answer


@pytest.mark.parametrize("rate", ["1e-320", "1e-9", "0.0009", "1e999", "-1e-320", "NaN", "Infinity", "1e7", "9" * 400])
async def test_a_rate_that_no_time_can_be_made_of_is_refused(service: RunningService, rate: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = f'{{"rate_limit_per_s": {rate}}}'
    async with service.http.post(f"{service.url}/admin/faults", data=body, headers=headers) as response:
        assert response.status == 400, await response.text()
    assert (await service.admin("GET", "/admin/faults"))["rate_limit_per_s"] == 0


def test_the_slowest_rate_gives_a_finite_time() -> None:
    faults = Faults(degradation=True, answer_delay_ms=0, lose_every_nth_answer=0)
    faults.apply(FaultOrder(rate_limit_per_s=0.001))
    assert faults.over_rate("sign-in", 0.0) is None
    again_s = faults.over_rate("sign-in", 0.0)
    assert again_s is not None
    assert again_s == pytest.approx(1000.0)


BIG = "9" * 30


@pytest.mark.parametrize(
    "path", [f"/admin/calls?after={BIG}", f"/admin/calls?after=-{BIG}", f"/admin/calls?after={'9' * 5000}",
             "/admin/calls?after=-1", "/admin/calls?limit=1e5", "/admin/calls?after=9223372036854775808"],
)  # fmt: skip
async def test_a_number_beyond_64_bits_in_a_query_is_refused(service: RunningService, path: str) -> None:
    await service.admin("GET", path, status=400)


@pytest.mark.parametrize(
    "message",
    [
        f'{{"type": "ping", "n": {BIG}}}', f'{{"type": "contacts.list", "ref": {BIG}}}',
        f'{{"type": "contacts.list", "ref": -{BIG}}}', f'{{"type": "thread.list", "ref": 1, "before": {BIG}}}',
        f'{{"type": "message.send", "ref": {BIG}, "to": 7}}', f'{{"type": "control.get", "ref": {"9" * 5000}}}',
        f'{{"type": "call.candidate", "call_id": "c", "candidate": {{"candidate": "", "sdpMLineIndex": {BIG}}}}}',
    ],
)  # fmt: skip
async def test_a_number_beyond_64_bits_in_a_message_is_refused(service: RunningService, message: str) -> None:
    ann = await service.connect("ann")
    await ann.socket.send_str(message)
    assert (await ann.expect("error"))["code"] in {"bad_message", "bad_json"}
    await ann.expect_silence()


async def test_the_largest_number_of_64_bits_comes_back_as_it_is(service: RunningService) -> None:
    ann = await service.connect("ann")
    for number in ((1 << 63) - 1, -(1 << 63)):
        await ann.say("contacts.list", ref=number)
        await ann.expect("contacts", ref=number)
        await ann.say("ping", n=number)
        await ann.expect("pong", n=number)


async def test_names_end_where_they_seem_to(service: RunningService) -> None:
    for name in ("eve\n", "eve\r", "\neve", "eve\x00", "e ve"):
        user = {"name": name, "display_name": "Eve", "password": "p"}
        await service.admin("POST", "/admin/seed", {"users": [user]}, status=400)


def test_the_admin_token_is_compared_whatever_the_bytes() -> None:
    assert admin._same_secret("Bearer x", "Bearer x")
    assert not admin._same_secret("Bearer x\udcff", "Bearer x")
    assert not admin._same_secret("Bearer x", "Bearer xx")
    assert not admin._same_secret("", "Bearer x")

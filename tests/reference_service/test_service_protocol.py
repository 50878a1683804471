"""What a client must not be able to break: garbage, floods, bad tokens, and the web client's files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import aiohttp
import pytest
from service_process import SDP, RunningService
from waiting import HANG_LIMIT_S

from reference_service.static import StaticFiles

pytestmark = pytest.mark.integration


GARBAGE: list[tuple[str | bytes, str]] = [
    ("", "bad_json"),
    ("not json", "bad_json"),
    ('{"type": "ping"', "bad_json"),
    ("[" * 50_000, "bad_json"),
    ('["ping"]', "bad_json"),
    ("null", "bad_json"),
    (b"\xff\xfe\x00", "bad_json"),
    ("{}", "unknown_type"),
    ('{"type": "call.steal"}', "unknown_type"),
    ('{"type": 7}', "unknown_type"),
    ('{"type": ["ping"]}', "unknown_type"),
    ('{"type": "call.invite"}', "bad_message"),
    ('{"type": "call.invite", "call_id": "c", "to": 5, "media": "audio", "sdp": ""}', "bad_message"),
    ('{"type": "call.invite", "call_id": "c", "to": "bob", "media": "smell", "sdp": ""}', "bad_message"),
    ('{"type": "call.invite", "call_id": "", "to": "bob", "media": "audio", "sdp": ""}', "bad_message"),
    (json.dumps({"type": "message.send", "to": "bob", "text": "x" * 4001}), "bad_message"),
    ('{"type": "message.send", "to": "bob", "text": ""}', "bad_message"),
    ('{"type": "thread.read", "with": "bob", "limit": 100000}', "bad_message"),
    ('{"type": "thread.read", "with": "bob", "before": 99999999999999999999}', "bad_message"),
    ('{"type": "ping", "n": {"deep": 1}}', "bad_message"),
    ('{"type": "hello", "token": "x"}', "illegal_transition"),
]


async def test_garbage_gets_an_error_and_the_session_goes_on(service: RunningService) -> None:
    ann = await service.connect("ann")
    for frame, code in GARBAGE:
        await (ann.socket.send_str(frame) if isinstance(frame, str) else ann.socket.send_bytes(frame))
        error = await ann.expect("error")
        assert error["code"] == code, (frame[:200], error)
        assert error["message"]
    await ann.expect_silence()


async def test_error_carries_the_marks_of_its_cause(service: RunningService) -> None:
    ann = await service.connect("ann")
    await ann.say("message.send", ref="mark", to="bob")
    await ann.expect("error", ref="mark", code="bad_message")
    await ann.say("call.answer", call_id="c9", media="audio")
    await ann.expect("error", call_id="c9", code="bad_message")


async def test_unknown_fields_are_ignored(service: RunningService) -> None:
    ann = await service.connect("ann")
    await ann.say("ping", n=3, colour="blue")
    await ann.expect("pong", n=3)


async def test_oversized_frame_closes_that_socket_only(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    await ann.say("message.send", to="bob", text="x" * 200_000)
    assert await ann.expect_close() == 1009
    await bob.expect_silence()


async def test_forged_token_is_told_and_closed(service: RunningService) -> None:
    for token in ("", "x", "YW5u.", "YW5u.00", "ünicode.é", "Q" * 300):
        socket = await service.open_socket()
        await socket.send_json({"type": "hello", "token": token, "client": "test"})
        assert (await socket.receive_json(timeout=HANG_LIMIT_S))["code"] == "bad_token", token
        assert (await socket.receive(timeout=HANG_LIMIT_S)).data == 4401


async def test_first_message_must_be_hello(service: RunningService) -> None:
    for first in ('{"type": "ping"}', "garbage"):
        socket = await service.open_socket()
        await socket.send_str(first)
        assert (await socket.receive_json(timeout=HANG_LIMIT_S))["type"] == "error"
        assert (await socket.receive(timeout=HANG_LIMIT_S)).type is aiohttp.WSMsgType.CLOSE


async def test_slow_reader_is_cut_off_and_harms_nobody(service: RunningService) -> None:
    ann, bob = await service.connect("ann"), await service.connect("bob")
    call_id = await service.talk(ann, bob)
    assert bob.socket._writer is not None
    bob.socket._writer.transport.pause_reading()  # type: ignore[attr-defined]
    big = SDP + "x" * 60_000
    for _ in range(300):
        await ann.say("call.reoffer", call_id=call_id, media="video", sdp=big, reason="upgrade")
    await ann.expect_silence()
    await ann.expect("call.ended", call_id=call_id, reason="peer_lost", by="bob")


async def test_wrong_credentials(service: RunningService) -> None:
    for name, password in (("ann", "wrong"), ("zoe", "zoe"), ("ann", "")):
        body = {"name": name, "password": password}
        async with service.http.post(f"{service.url}/api/sign-in", json=body) as response:
            assert response.status == 401, body
            assert (await response.json())["error"] == "bad_credentials"


async def test_sign_in_needs_name_and_password(service: RunningService) -> None:
    for body in ({"name": "ann"}, {"name": 1, "password": "x"}, []):
        async with service.http.post(f"{service.url}/api/sign-in", json=body) as response:
            assert response.status == 400


async def test_browser_that_offers_compression_gets_it(service: RunningService) -> None:
    """On a 2G link a description of 3 kB is most of a second."""
    ann, bob = await service.connect("ann", compress=15), await service.connect("bob")
    assert ann.socket.compress == 15
    assert bob.socket.compress == 0
    for _ in range(3):
        call_id = await service.ring(ann, bob, sdp=SDP * 500)
        await bob.say("call.answer", call_id=call_id, media="audio", sdp=SDP * 500)
        await ann.expect("call.answered", sdp=SDP * 500)
        await ann.say("call.hangup", call_id=call_id)
        await service.hear_end(call_id, "hangup", "ann", ann, bob)


async def test_web_client_is_compressed_and_revalidated(service: RunningService) -> None:
    headers = {"Accept-Encoding": "gzip"}
    async with service.http.get(service.url, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Content-Type"].startswith("text/html")
        assert b"<!doctype html>" in (await response.read()).lower()
        headers["If-None-Match"] = response.headers["ETag"]
    async with service.http.get(service.url, headers=headers) as response:
        assert (response.status, await response.read()) == (304, b"")


async def test_no_file_outside_the_web_folder_is_served(service: RunningService) -> None:
    from yarl import URL

    for path in (
        "/static/../settings.py",
        "/static/..%2fsettings.py",
        "/static/%2e%2e/settings.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/.hidden",
        "/static/a%00b",
        "/static/",
        "/static/nothing.js",
        "/nothing",
        "/static/" + "x" * 3000,
    ):
        async with service.http.get(URL(service.url + path, encoded=True)) as response:
            assert response.status == 404, path


def test_static_files_find_only_plain_files_inside_their_root(tmp_path: Path) -> None:
    root = tmp_path / "web"
    (root / "deep").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / ".env").write_text("secret")
    (root / "deep" / "app.js").write_text("x" * 1000)
    static = StaticFiles(root)
    for name in ("link.txt", ".env", "../secret.txt", "/secret.txt", "deep", "", "deep/../../secret.txt", "a\0b"):
        assert static._find(name) is None, name
    found = static._find("deep/app.js")
    assert found is not None
    assert found.content_type == "text/javascript; charset=utf-8"
    assert found.packed is not None
    assert gzip.decompress(found.packed) == found.plain
    (root / "deep" / "app.js").write_text("y" * 999)
    changed = static._find("deep/app.js")
    assert changed is not None
    assert changed.etag != found.etag

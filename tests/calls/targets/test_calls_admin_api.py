"""Whatever stands at the target's address instead of the service is named in one sentence, in bounded time."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import HANG_LIMIT_S

from bedrock.errors import TargetUnreachable
from calls.errors import TargetRefused
from calls.targets.admin_api import AdminApi
from calls.targets.own_service import start_own_service


@contextlib.contextmanager
def answering(
    *pieces: bytes, every_s: float = 0.0, then_close: bool = True, heard: list[bytes] | None = None
) -> Iterator[str]:
    """A server that takes one connection and sends ``pieces``, whatever was asked; that goes to ``heard``."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                asked = connection.recv(65536)
                if heard is not None:
                    heard.append(asked)
                for piece in pieces:
                    connection.sendall(piece)
                    if over.wait(every_s):
                        return
                if not then_close:
                    over.wait(HANG_LIMIT_S)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("pieces", "sentence"),
    [
        ([b"\x00\x01\x02garbage\r\n\r\n"], "answers /health with something that is not HTTP"),
        ([b"HTTP/1.1 200 OK\r\n\r\n<html>hello</html>"], "but is not the reference service"),
        ([b"HTTP/1.1 200 OK\r\n\r\n[1, 2]"], "but is not the reference service"),
        ([b"HTTP/1.1 429 Slow Down\r\n\r\ntoo many"], "answers GET /health with HTTP 429: too many"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"], "but is not the reference service"),
        ([], "does not answer: Remote end closed connection without response"),
    ],
)  # fmt: skip
def test_what_is_not_the_service_is_named(pieces: list[bytes], sentence: str) -> None:
    with answering(*pieces) as url, pytest.raises(TargetUnreachable) as caught:
        AdminApi(url).health()
    assert sentence in str(caught.value)


def test_a_half_open_target_costs_a_bounded_time() -> None:
    with answering(then_close=False) as url, pytest.raises(TargetUnreachable, match=r"does not answer within 0\.3 s"):
        AdminApi(url).ask("GET", "/health", timeout_s=0.3)


def test_a_trickle_of_bytes_does_not_hold_us() -> None:
    trickle = [b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 90]
    with answering(*trickle, every_s=0.1) as url, pytest.raises(TargetUnreachable, match=r"within 0\.5 s"):
        AdminApi(url).ask("GET", "/health", timeout_s=0.5)


def test_a_plain_service_behind_an_https_address_is_named() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url, pytest.raises(TargetUnreachable, match="speak TLS"):
        AdminApi(url.replace("http:", "https:")).health()


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://127.0.0.1", "http://", "http://host:notaport"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(TargetUnreachable, match="is no address of a service"):
        AdminApi(url).health()


@pytest.mark.integration
def test_our_own_service_starts_seeds_and_refuses_a_wrong_token(tmp_path: Path) -> None:
    service = start_own_service(tmp_path / "new" / "service.db", tmp_path / "service.log")
    try:
        assert AdminApi(service.url).health()["status"] == "ok"
        user = {"name": "ada", "display_name": "Ada", "password": "ada", "controls": "following"}
        assert AdminApi(service.url, service.admin_token).seed({"users": [user], "follows": []})
        with pytest.raises(TargetRefused, match="HTTP 401") as caught:
            AdminApi(service.url, "wrong").seed({"users": [], "follows": []})
        assert "RINGFENCE_ADMIN_TOKEN" in caught.value.hint
    finally:
        service.process.stop()
    assert not service.process.is_running()


@pytest.mark.parametrize(("path", "carries"), [("/health", False), ("/admin/seed", True)])
def test_the_token_goes_only_where_it_is_asked_for(path: str, carries: bool) -> None:
    heard: list[bytes] = []
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", heard=heard) as url:
        AdminApi(url, "sesame").ask("GET", path)
    assert (b"sesame" in b"".join(heard)) == carries


def test_a_redirect_is_told_and_not_followed() -> None:
    elsewhere: list[bytes] = []
    with answering(b"HTTP/1.1 200 OK\r\n\r\n{}", heard=elsewhere) as other:
        moved = f'HTTP/1.1 307 Moved\r\nLocation: {other}/admin/seed\r\n\r\n{{"status": "ok"}}'.encode()
        with (
            answering(moved) as url,
            pytest.raises(TargetRefused, match=r"POST /admin/seed with a redirect \(HTTP 307"),
        ):
            AdminApi(url, "sesame").seed({"users": []})
        assert elsewhere == []
        AdminApi(other).health()

"""Foreign pages are kept off the web UI: by the host that they ask for, by the page that they come from."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from bedrock.errors import InputError
from loadtests.web.request_guard import NO_FRAMES, AllowedHosts, RequestGuard, why_refused

OURS = "127.0.0.1:8089"


def request(method: str = "POST", host: str | None = OURS, scheme: str = "http", **headers: str) -> dict[str, Any]:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "wsgi.url_scheme": scheme}
    if host is not None:
        environ["HTTP_HOST"] = host
    return environ | {f"HTTP_{name.upper()}": value for name, value in headers.items()}


def refused(environ: dict[str, Any], web_host: str = "127.0.0.1", named: str = "") -> str:
    return why_refused(environ, AllowedHosts(web_host, named))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "http://127.0.0.1:9999", "http://localhost:8089", "http://127.0.0.1", "null", "",
        "https://127.0.0.1:8089", "file://", "http://127.0.0.1:8089.evil.example", "http://x@127.0.0.1:8089",
        "http://127.0.0.1:8089/x", "chrome-extension://127.0.0.1:8089", "http://127.0.0.1:99999", "http://[::1",
    ],
)  # fmt: skip
def test_another_origin_is_refused_whatever_it_asks(method: str, origin: str) -> None:
    assert refused(request(method, origin=origin)).endswith("which is not this web UI: it was refused.")


@pytest.mark.parametrize("host", ["127.0.0.1:8089", "localhost:8089", "LOCALHOST", "[::1]:8089", "127.8.7.6:1"])
def test_our_own_page_is_let_in_by_every_name_of_the_loopback(host: str) -> None:
    assert refused(request(host=host, origin=f"http://{host.lower()}")) == ""
    assert refused(request(host=host, sec_fetch_site="same-origin")) == ""
    assert refused(request(host=host)) == ""  # a program: curl, a script of CI


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8089", "127.0.0.1.evil.example", "localhost.evil.example", "", None,
        "10.9.8.7:8089", "127.0.0.1:8089,evil.example", "127.0.0.1@evil.example", "evil.example/127.0.0.1", "[::1",
        "127.0.0.1:x", "0.0.0.0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_host_that_was_made_to_point_here_is_refused(method: str, host: str | None) -> None:
    assert refused(request(method, host, origin=f"http://{host}")).startswith("The host ")
    assert refused(request(method, host)).startswith("The host ")


def test_a_request_without_origin_is_known_by_what_the_browser_says_of_its_page() -> None:
    for site in ("cross-site", "same-site"):
        assert refused(request("POST", sec_fetch_site=site, sec_fetch_mode="navigate"))
        assert refused(request("GET", sec_fetch_site=site, sec_fetch_mode="no-cors"))
        assert refused(request("GET", sec_fetch_site=site, sec_fetch_mode="navigate")) == ""


def test_the_bound_address_and_named_hosts_are_let_in() -> None:
    assert refused(request(host="10.0.0.1:8089"), web_host="10.0.0.1") == ""
    named = "load.example.org, other.example:8443"
    assert refused(request(host="load.example.org", origin="https://load.example.org"), named=named) == ""
    assert refused(request(host="127.0.0.1:8089", origin="https://load.example.org"), named=named) == ""
    assert refused(request(host="127.0.0.1:8089", origin="https://other.example:8443"), named=named) == ""
    assert refused(request(host="127.0.0.1:8089", origin="https://other.example"), named=named)
    assert refused(request(host="evil.example"), named=named)


def test_on_every_interface_the_machines_own_names_are_let_in() -> None:
    assert refused(request(host=socket.gethostname()), web_host="0.0.0.0") == ""
    assert refused(request(host="localhost:8089"), web_host="0.0.0.0") == ""
    assert refused(request(host="192.0.2.7"), web_host="0.0.0.0")
    assert refused(request(host="evil.example"), web_host="")
    assert refused(request(host=socket.gethostname() + "."))


def test_a_host_that_is_none_is_an_error_of_the_option() -> None:
    with pytest.raises(InputError, match=r"--web-allowed-host: must be hosts.*'http://x'"):
        AllowedHosts("127.0.0.1", "http://x")


def test_no_page_but_ours_may_read_or_frame_an_answer() -> None:
    def application(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Access-Control-Allow-Origin", "*"), ("X-Own", "kept")])
        return [b"hello"]

    answers: list[tuple[str, dict[str, str]]] = []
    guard = RequestGuard(application, AllowedHosts("127.0.0.1"))

    def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        answers.append((status, dict(headers)))

    assert guard(request(origin="http://127.0.0.1:8089"), start) == [b"hello"]
    assert b"it was refused" in b"".join(guard(request(origin="http://evil.example"), start))
    (_, ours), (status, theirs) = answers
    assert ours == {"X-Own": "kept", **dict(NO_FRAMES)}
    assert status == "403 Forbidden"
    assert not [name for name in theirs if name.lower().startswith("access-control")]

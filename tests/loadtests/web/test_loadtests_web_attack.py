"""A foreign page attacks Locust's web UI: in a real browser from another port, and by requests under another host."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from swarm_process import Swarm, free_port, swarm_in, write_plan
from waiting import HANG_LIMIT_S, eventually

from calls.targets.admin_api import TOKEN_VARIABLE

pytestmark = [pytest.mark.patient, pytest.mark.integration]
CHROMIUM = "/usr/bin/chromium"
TOKEN = "the-token-that-nobody-else-may-see"
START = {"user_count": "1", "spawn_rate": "1", "plan": "default"}


class Listener(http.server.ThreadingHTTPServer):
    """The attacker's own server: notes every request, shows an empty page, and says that it is well."""

    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Listener)
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        body = b'{"status": "ok"}' if self.path == "/health" else b"<!doctype html><title>another page</title>"
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if self.path == "/health" else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield listener
    finally:
        listener.shutdown()
        thread.join(HANG_LIMIT_S)
        listener.server_close()


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context().new_page()
        page.set_default_timeout(HANG_LIMIT_S * 1000)
        yield page
        browser.close()


def ask(port: int, method: str, path: str, fields: dict[str, str] | None = None, **headers: str) -> tuple[int, str]:
    """Sends one request as a program does, with any Host and Origin."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_LIMIT_S)
    try:
        body = urllib.parse.urlencode(fields or {})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path, body, {**kind, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def open_ui(swarm: Swarm, *arguments: str) -> int:
    port = free_port()
    swarm.start("--web-port", str(port), *arguments, env={TOKEN_VARIABLE: TOKEN})

    def answers() -> bool:
        try:
            return ask(port, "GET", "/")[0] == 200
        except OSError:
            return False

    assert eventually(answers), swarm.log()
    return port


def routes_of(port: int) -> list[tuple[str, str]]:
    """Everything that the installed Locust and our own pages offer, asked with every method."""
    paths = [
        "/", "/swarm", "/stop", "/stats/reset", "/stats/requests", "/stats/report", "/stats/requests/csv",
        "/stats/failures/csv", "/stats/requests_full_history/csv", "/exceptions", "/exceptions/csv", "/tasks", "/logs",
        "/login", "/user", "/worker-count", "/calls", "/calls/points", "/calls/start_form.js", "/nowhere",
    ]  # fmt: skip
    return [(method, path) for path in paths for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS")]


ATTACK = """
async ([ui, target, folder]) => {
  const fields = new URLSearchParams({user_count: "1", spawn_rate: "1", plan: "default", target: target,
    run_folder: folder, host: target});
  const told = {};
  for (const [name, options] of Object.entries({
    simple: {method: "POST", body: fields, mode: "no-cors"},
    cors: {method: "POST", body: fields},
    json: {method: "POST", body: "{}", headers: {"Content-Type": "application/json"}},
  })) {
    try { const answer = await fetch(ui + "/swarm", options); told[name] = answer.type + " " + answer.status; }
    catch (error) { told[name] = String(error); }
  }
  for (const path of ["/stats/requests", "/logs", "/exceptions", "/calls/points"]) {
    try { told[path] = await (await fetch(ui + path)).text(); } catch (error) { told[path] = String(error); }
  }
  return told;
}
"""


def test_a_page_of_another_port_starts_nothing_reads_nothing_and_learns_no_token(tmp_path: Path, page: Page) -> None:
    with swarm_in(tmp_path) as swarm, listening() as attacker:
        port = open_ui(swarm, "--plan", str(write_plan(tmp_path)), "--run-folder", str(swarm.run))
        ui = f"http://127.0.0.1:{port}"
        page.goto(attacker.url)
        stolen = tmp_path / "stolen"
        told = page.evaluate(ATTACK, [ui, attacker.url, str(stolen)])
        assert told.pop("simple") == "opaque 0"
        assert told
        assert all(text.startswith("TypeError") for text in told.values())
        # A form needs no script and no leave: its answer is a page that says why.
        page.set_content(
            f'<form method="post" action="{ui}/swarm"><input name="target" value="{attacker.url}">'
            f'<input name="run_folder" value="{stolen}"><button>win a prize</button></form>'
        )
        page.get_by_role("button").click()
        expect(page.locator("body")).to_contain_text("which is not this web UI: it was refused.")
        page.goto(attacker.url)
        page.set_content(f'<iframe src="{ui}/" width="900" height="700"></iframe>')
        frame = page.frames[-1]
        frame.wait_for_load_state()
        assert frame.locator("input").count() == 0
        # The same web UI still works for its own page, and nothing was started meanwhile.
        assert json.loads(ask(port, "GET", "/stats/requests")[1])["state"] == "ready"
        assert not stolen.exists()
        assert not swarm.run.exists()
        assert [path for path, _ in attacker.seen if path == "/health"] == []
        assert TOKEN not in str(attacker.seen)


def test_no_route_answers_a_foreign_host_or_origin(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm:
        port = open_ui(swarm, "--plan", str(write_plan(tmp_path)), "--run-folder", str(swarm.run))
        for method, path in routes_of(port):
            for headers in ({"Host": "rebound.example:8089"}, {"Origin": "http://rebound.example"}):
                status, told = ask(port, method, path, START, **headers)
                assert (status, told.count("\n")) == (403, 1), (method, path, headers, told)
        assert ask(port, "POST", "/stats/reset", Origin=f"http://127.0.0.1:{port}") == (200, "ok")
        assert ask(port, "GET", "/worker-count", Host="localhost")[0] == 200
        assert not swarm.run.exists()


def test_target_and_folder_are_no_fields_and_the_host_is_there_to_be_read(tmp_path: Path, page: Page) -> None:
    with swarm_in(tmp_path) as swarm, listening() as attacker, listening() as named:
        arguments = ["--plan", str(write_plan(tmp_path)), "--run-folder", str(swarm.run), "--target", named.url]
        port = open_ui(swarm, *arguments)
        page.goto(f"http://127.0.0.1:{port}/")
        host = page.locator("input[name=host]")
        expect(host).to_have_value(named.url)
        expect(host).to_have_js_property("readOnly", True)
        page.get_by_text("More options").click()
        expect(page.locator("input[name=people]")).to_be_visible()
        for name in ("target", "run_folder", "web_allowed_host"):
            expect(page.locator(f"input[name={name}]")).to_have_count(0)
        for name, value in (("target", attacker.url), ("run_folder", "/stolen"), ("web_allowed_host", "evil.example")):
            status, told = ask(port, "POST", "/swarm", {**START, name: value})
            assert (status, json.loads(told)["success"]) == (200, False)
            assert f"The start form has no field '{name}'" in told
        # Who posts another host is not heard either: the run goes to the target that the command line named.
        assert json.loads(ask(port, "POST", "/swarm", {**START, "host": attacker.url})[1])["success"] is True
        assert eventually(lambda: len(named.seen) > 1)
        assert attacker.seen == []
        by_path = {path: headers for path, headers in named.seen}
        assert "authorization" not in by_path["/health"]
        assert by_path["/admin/seed"]["authorization"] == f"Bearer {TOKEN}"


def test_a_port_that_is_taken_is_one_sentence_and_so_is_a_host_that_is_none(tmp_path: Path) -> None:
    with swarm_in(tmp_path) as swarm, listening() as other:
        port = str(other.server_address[1])
        for number, (arguments, code, sentence) in enumerate(
            (
                (("--web-port", port), 5, f"port {port}: Address already in use (name another port with --web-port"),
                (("--web-allowed-host", "http://x"), 2, "--web-allowed-host: must be hosts such as"),
            )
        ):
            process = swarm.start(*arguments, "--plan", str(write_plan(tmp_path)), "--run-folder", str(swarm.run))
            assert process.wait(HANG_LIMIT_S) == code
            assert sentence in swarm.log(number)
            assert "Traceback" not in swarm.log(number)
        assert not swarm.run.exists()

"""Appium and chromedriver take orders from nobody but us: tried by a user without rights, and by what is asked."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
import session_attacker
import urllib3.exceptions
from appium.options.common import AppiumOptions
from appium.webdriver.webdriver import WebDriver
from machine_in_time import in_time
from ordinary_machine import NOBODY, as_nobody, ordinary_scene

from bedrock.clock import SystemClock
from bedrock.scratch import scratch_folder
from calls.targets.own_service import start_own_service
from device_matrix.artifacts import next_attempt
from device_matrix.attempt.execution import Attempt
from device_matrix.attempt.worker import RunSettings, Worker
from device_matrix.cells import Cell, DriverName
from device_matrix.cpu import cpu_limit
from device_matrix.devices import catalogue
from device_matrix.drivers import appium_server
from device_matrix.drivers.appium_connection import AppiumAddress, PrivateConnection
from device_matrix.drivers.appium_server import AppiumServer
from network_profiles import load_catalogue, missing_prerequisites
from network_profiles.links import private_network, rootless
from reports.run.cells import CellResult, CellStatus

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(appium_server.missing_prerequisites()), reason="no Appium server on this machine"),
]
needs_links = pytest.mark.skipif(
    bool(missing_prerequisites() or cpu_limit.missing_prerequisites()), reason="no links or CPU groups on this machine"
)
needs_user_namespaces = pytest.mark.skipif(
    bool(missing_prerequisites() or [one for one in rootless.missing_prerequisites() if "/dev/net/tun" not in one]),
    reason="no user namespaces here",
)
CELL = Cell("redmi-go", "lte_good", "audio_call", DriverName.APPIUM)
PROGRAMS = ("node", "chromedriver", "chromium", "chrome")
BECOME_ROOT_OF_A_USER_NAMESPACE = """
import sys
from network_profiles.links.rootless import enter_if_needed
enter_if_needed([sys.executable, "-c", sys.argv[1], sys.argv[2]])
"""
START_A_SERVER = """
import json, os, socket, sys
from pathlib import Path
from device_matrix.drivers.appium_server import AppiumServer
server = AppiumServer(Path(sys.argv[1]))
address = server.start()
try:
    outside = "reached"
    try:
        socket.create_connection(("127.0.0.1", address.port), 5).close()
    except OSError as error:
        outside = type(error).__name__
    print(json.dumps({"uid": os.getuid(), "ready": address.is_ready(), "outside": outside}))
finally:
    server.stop()
"""
ATTACKER = Path(session_attacker.__file__)


class Evil:
    """A program of a stranger, where anybody may run it; it leaves a line when it runs."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self._ran = folder / "ran"
        self._ran.touch()
        self._ran.chmod(0o666)
        self.path = folder / "evil"
        self.path.write_text(f"#!/bin/sh\nid -un >> {self._ran}\n")
        self.path.chmod(0o755)

    def runs(self) -> list[str]:
        """As whom it ran."""
        return self._ran.read_text().split()


@pytest.fixture
def evil() -> Iterator[Evil]:
    with tempfile.TemporaryDirectory() as folder:
        yield Evil(Path(folder))


@pytest.fixture
def strangers() -> set[int]:
    """Ports that somebody listened at before us: these are not ours to attack."""
    return set(session_attacker.listeners())


@pytest.fixture
def server(tmp_path: Path, strangers: set[int]) -> Iterator[AppiumServer]:
    made = AppiumServer(tmp_path / "appium.log")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def control(strangers: set[int]) -> Iterator[tuple[int, list[bytes]]]:
    """A listener that everybody reaches, and what it heard: the attacker does attack."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], heard
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def attack(evil: Evil, pids: list[int], strangers: set[int]) -> dict[str, Any]:
    order = {"program": str(evil.path), "pids": pids, "spared": sorted(strangers)}
    done = subprocess.run(
        [sys.executable, str(ATTACKER), json.dumps(order)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["uid"] == session_attacker.NOBODY
    return found


def require_attacked(control: tuple[int, list[bytes]], seen: dict[str, Any]) -> None:
    """Checks that the attacker did reach who can be reached."""
    port, heard = control
    assert any(request.startswith(b"POST /session ") for request in heard)
    assert all(answer.startswith("404") for answer in seen["answers"][str(port)])


def test_nobody_has_a_program_run_by_a_server_that_waits_for_devices(
    server: AppiumServer, evil: Evil, control: tuple[int, list[bytes]], strangers: set[int]
) -> None:
    assert server.pid is not None
    seen = attack(evil, [server.pid], strangers)
    require_attacked(control, seen)
    assert str(server.address.port) not in seen["answers"]
    assert all(seen["entered"].values()), "the kernel lets nobody into its network"
    assert evil.runs() == []


def ours() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if child.name().startswith(PROGRAMS)]


@needs_links
def test_nobody_has_a_program_run_by_any_listener_while_a_device_calls(
    server: AppiumServer, evil: Evil, control: tuple[int, list[bytes]], strangers: set[int], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # loopback is never asked for through a proxy
    service = start_own_service(tmp_path / "service" / "service.sqlite", tmp_path / "service.log")
    settings = RunSettings(
        run_id="test-run", run_folder=str(tmp_path), plan="smoke", seed=5, sustain_s=2.0, retries_environment=0,
        target_url=service.url, admin_token=service.admin_token,
        appium_url=server.address.url, appium_network=server.address.network,
    )  # fmt: skip
    worker = Worker("matrix-test", settings, catalogue(), load_catalogue(), SystemClock())
    seen: dict[str, Any] = {}

    def look_and_attack() -> None:
        running = ours()
        seen["names"] = {child.name() for child in running}
        seen["ports"] = {
            connection.laddr.port
            for child in running
            for connection in child.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        } & set(session_attacker.listeners())
        seen["browser"] = [
            connection.laddr
            for child in running
            if child.name().startswith(("chromium", "chrome")) and child.name() != "chromedriver"
            for connection in child.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        seen.update(attack(evil, [child.pid for child in running], strangers))

    def attacked() -> CellResult:
        attempt = Attempt(worker, CELL, next_attempt(tmp_path, CELL.id))
        begin = attempt.steps.begin

        def begin_and_attack(name: str) -> None:
            begin(name)
            if name == "sign_in":
                look_and_attack()

        attempt.steps.begin = begin_and_attack  # type: ignore[method-assign]
        return attempt.run()

    try:
        result = in_time(attacked)
    finally:
        worker.close()
        service.process.stop()
    assert result.status is CellStatus.PASSED, result.detail
    assert seen["names"] >= {"node", "chromedriver"}, "the attack came while both ran"
    require_attacked(control, seen)
    assert seen["ports"] == set(), "Appium, chromedriver and the browser listen where nobody is"
    assert seen["browser"] == [], "no debugging port, not even inside the link"
    assert str(server.address.port) not in seen["answers"]
    assert all(seen["entered"].values()), "the kernel lets nobody into their networks"
    assert evil.runs() == []


def ask_for_session(address: AppiumAddress, asked: dict[str, Any]) -> tuple[int, str]:
    """Returns how the server answers us, who do reach it."""
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=60)
    connection.sock = private_network.connect(address.network, address.port, 60)
    body = json.dumps({"capabilities": {"alwaysMatch": asked, "firstMatch": [{}]}})
    try:
        connection.request("POST", "/session", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.load(answer)["value"]["message"]
    finally:
        connection.close()


def test_a_session_that_names_a_foreign_program_is_refused(server: AppiumServer, evil: Evil) -> None:
    with scratch_folder() as folder:
        for name in ("browser", "chromedriver"):
            (folder / name).write_text("#!/bin/sh\nexit 1\n")
            (folder / name).chmod(0o700)
        good = {
            "platformName": "linux", "browserName": "chrome", "appium:automationName": "Chromium",
            "appium:executable": str(folder / "chromedriver"), "appium:autodownloadEnabled": False,
        }  # fmt: skip
        browser = {"binary": str(folder / "browser"), "args": ["--headless=new"]}
        program = str(evil.path)
        disguised = folder / "more" / "chromedriver"
        disguised.parent.mkdir()
        disguised.symlink_to(program)
        prefixed = f"--renderer-cmd-prefix={program}"
        bad: list[tuple[str, dict[str, Any]]] = [
            ("not a program that ringfence wrote", {"goog:chromeOptions": {**browser, "binary": program}}),
            ("not a program that ringfence wrote", {"appium:executable": program}),
            ("not a program that ringfence wrote", {"appium:executable": str(disguised)}),
            ("not a program that ringfence wrote", {"appium:executable": str(folder / ".." / "x" / "chromedriver")}),
            ("'appium:chromedriverExecutable'", {"appium:chromedriverExecutable": program}),
            ("'appium:executableDir'", {"appium:executableDir": str(evil.path.parent)}),
            ("'appium:options'", {"appium:options": {"executable": program}}),
            ("'appium:logPath'", {"appium:logPath": "/tmp/anywhere"}),
            ("'ms:edgeOptions'", {"ms:edgeOptions": {"binary": program}}),
            ("'--renderer-cmd-prefix'", {"goog:chromeOptions": {**browser, "args": [prefixed]}}),
            ("'--gpu-launcher'", {"goog:chromeOptions": {**browser, "args": [f"--gpu-launcher={program}"]}}),
            ("profile lies in a scratch folder", {"goog:chromeOptions": {**browser, "args": ["--user-data-dir=/etc"]}}),
            ("'extensions'", {"goog:chromeOptions": {**browser, "extensions": ["AAAA"]}}),
            ("names its browser", {"goog:chromeOptions": {}}),
        ]  # fmt: skip
        for sentence, changed in bad:
            status, message = ask_for_session(server.address, {**good, "goog:chromeOptions": browser, **changed})
            assert (status, "refused by ringfence" in message) == (400, True), (changed, message)
            assert sentence in message
    assert evil.runs() == []


class SlowToQuit(BaseHTTPRequestHandler):
    """Gives a session, and answers a request to end it only when it is asked for the second time."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"sessionId": "one", "capabilities": {}})

    def do_DELETE(self) -> None:
        self.asked.append(self.path)
        if len(self.asked) == 1:
            self.connection.recv(1)  # until the client gives up
            self.close_connection = True
            return
        self._answer(None)

    def _answer(self, value: object) -> None:
        body = json.dumps({"value": value}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_session_that_ends_late_is_asked_once_and_leaves_no_connection_open() -> None:
    SlowToQuit.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), SlowToQuit) as listening:
        serving = threading.Thread(target=listening.serve_forever)
        serving.start()
        port = listening.server_address[1]
        connection = PrivateConnection(AppiumAddress(private_network.own_network_path(), port), 60)
        session = WebDriver(connection, options=AppiumOptions().load_capabilities({"platformName": "linux"}))
        connection.client_config.timeout = 0.5
        with pytest.raises(urllib3.exceptions.ReadTimeoutError) as gave_up:  # which holds the pool of connections
            session.quit()
        listening.shutdown()
        serving.join()
        open_to_it = [one for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port == port]
    assert gave_up.value.pool is not None
    assert [one for one in open_to_it if one.status == psutil.CONN_ESTABLISHED] == []
    assert SlowToQuit.asked == ["/session/one"]


@needs_user_namespaces
def test_an_ordinary_user_has_a_private_server_in_the_user_namespace() -> None:
    with tempfile.TemporaryDirectory() as folder, ordinary_scene() as scene:
        os.chown(folder, NOBODY, NOBODY)
        log = str(Path(folder, "logs", "appium.log"))
        done = as_nobody(scene, "-c", BECOME_ROOT_OF_A_USER_NAMESPACE, START_A_SERVER, log, home=folder, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == {"uid": 0, "ready": True, "outside": "ConnectionRefusedError"}

"""The one Appium server of a run: started, watched and ended by the pytest controller.

``APPIUM_HOME`` is the folder whose package.json names the drivers, so Appium finds the Chromium driver there and
downloads nothing. A thread of its own starts the server, because the kernel's parent-death signal follows the thread
that forked; the same thread starts it again, on the same port, when it dies: the cell that lost its session is an
environment error, the cells after it are not.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import EnvironmentLacks

HOME = Path(__file__).with_name("appium_server")
ENTRY = HOME / "node_modules" / "appium" / "index.js"
READY_TIMEOUT_S = 30.0
WATCH_INTERVAL_S = 0.5
RESTARTS = 5


def appium_modules() -> dict[str, str]:
    """Returns name and version of the server and of each driver that package.json asks for and that is installed."""
    wanted = json.loads((HOME / "package.json").read_text())["dependencies"]
    found = {}
    for name in wanted:
        manifest = HOME / "node_modules" / name / "package.json"
        if manifest.exists():
            found[name] = str(json.loads(manifest.read_text())["version"])
    return found


def lacks() -> list[str]:
    """Returns what this machine lacks for the server, empty when nothing."""
    missing = []
    if shutil.which("node") is None:
        missing.append("there is no Node.js (apt-get install nodejs, version 20 or later)")
    wanted = json.loads((HOME / "package.json").read_text())["dependencies"]
    missing += [
        f"the Node.js package '{name}' is not installed (npm ci --prefix {HOME})"
        for name in wanted
        if name not in appium_modules()
    ]
    return missing


def server_is_ready(url: str) -> bool:
    """Says whether an Appium server answers at ``url`` and takes sessions."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/status", timeout=2) as reply:
            return bool(json.load(reply)["value"]["ready"])
    except (OSError, ValueError, KeyError):
        return False


class AppiumServer:
    """A server on a free port of 127.0.0.1. ``start`` returns its address; ``stop`` is safe to call twice."""

    def __init__(self, log_path: Path, on_death: Callable[[str], None] | None = None) -> None:
        """``on_death`` is told, by the watching thread, of every end that nobody asked for."""
        self._log_path = log_path
        self._on_death = on_death
        self._stopping = threading.Event()
        self._settled = threading.Event()
        self._failure: EnvironmentLacks | None = None
        self._child: ChildProcess | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self.restarts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def start(self) -> str:
        """Starts the server and waits until it answers. Raises EnvironmentLacks when it does not."""
        if missing := lacks():
            raise EnvironmentLacks(missing[0])
        self._port = _free_port()
        self._thread = threading.Thread(target=self._keep_running, name="appium-server", daemon=True)
        self._thread.start()
        self._settled.wait()
        if self._failure is not None:
            self.stop()
            raise self._failure
        return self.url

    def stop(self) -> None:
        """Ends the server, its sessions and the thread that watches it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _keep_running(self) -> None:
        try:
            while not self._stopping.is_set() and self.restarts <= RESTARTS:
                self._child = self._spawn()
                try:
                    self._await_ready(self._child)
                except EnvironmentLacks as error:
                    self._failure = self._failure or error
                    return
                self._settled.set()
                while self._child.is_running() and not self._stopping.wait(WATCH_INTERVAL_S):
                    pass
                self._child.stop(timeout_s=2.0)
                if not self._stopping.is_set():
                    self.restarts += 1
                    self._tell(self._child.popen.returncode)
        finally:
            if self._child is not None:
                self._child.stop(timeout_s=2.0)
            self._settled.set()

    def _tell(self, code: int) -> None:
        if self._on_death is not None:
            self._on_death(f"the Appium server ended by itself with exit code {code}; it is started again")

    def _spawn(self) -> ChildProcess:
        node = shutil.which("node") or "node"
        arguments = [
            "server",
            "--address",
            "127.0.0.1",
            "--port",
            str(self._port),
            "--log-level",
            "info",
            "--log-no-colors",
            "--log-timestamp",
        ]
        return spawn(
            "the Appium server",
            [node, str(ENTRY), *arguments],
            log_path=self._log_path,
            env={
                "APPIUM_HOME": str(self._home()),
                "NODE_NO_WARNINGS": "1",
                "NO_UPDATE_NOTIFIER": "1",
                "HOME": os.environ.get("HOME", "/"),
            },
            cwd=HOME,
        )

    def _home(self) -> Path:
        """Returns a folder that names the drivers and is ours to write, as Appium insists, even where they are not."""
        if os.access(HOME, os.W_OK):
            return HOME
        home = self._log_path.with_name("appium_home")
        home.mkdir(exist_ok=True)
        for name in ("package.json", "node_modules"):
            if not (home / name).is_symlink():
                (home / name).symlink_to(HOME / name)
        return home

    def _await_ready(self, child: ChildProcess) -> None:
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline_s and child.is_running() and not self._stopping.is_set():
            if server_is_ready(self.url):
                return
            self._stopping.wait(0.1)
        code = child.popen.poll()
        ended = f"ended with exit code {code}" if code is not None else f"did not answer within {READY_TIMEOUT_S:.0f} s"
        raise EnvironmentLacks(f"the Appium server {ended}", hint=child.last_words())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

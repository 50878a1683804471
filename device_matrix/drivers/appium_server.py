"""Runs the one Appium server of a run. The pytest controller starts, watches and ends it.

``APPIUM_HOME`` is the folder whose package.json names the drivers, so Appium finds the Chromium driver there and
downloads nothing. The server is started by its own thread, because the kernel's parent-death signal follows the thread
that forked. When the server dies, the same thread starts it again on the same port. The cell that lost its session is
an environment error; later cells are not affected.

Appium and chromedriver do not authenticate their clients, and a capability may name a program that they run. So both
run in a private network that no other user of the machine can enter, and ``appium_server/gate.cjs`` takes only sessions
in our own form. A secret URL path would not help: the process list shows it, and chromedriver has none.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bedrock import crash
from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import EnvironmentLacks
from device_matrix.drivers.appium_connection import AppiumAddress
from device_matrix.drivers.appium_policy import POLICY_VARIABLE, policy
from network_profiles.links import private_network
from network_profiles.links.private_network import PrivateNetwork, free_port_in_network

HOME = Path(__file__).parent.parent / "appium_server"
ENTRY = HOME / "gate.cjs"
READY_TIMEOUT_S = 30.0
WATCH_INTERVAL_S = 0.5
MAX_RESTARTS = 5


def appium_modules() -> dict[str, str]:
    """Returns the name and version of each installed package that package.json asks for: the server and its drivers."""
    wanted = json.loads((HOME / "package.json").read_text())["dependencies"]
    found = {}
    for name in wanted:
        manifest = HOME / "node_modules" / name / "package.json"
        if manifest.exists():
            found[name] = str(json.loads(manifest.read_text())["version"])
    return found


def missing_prerequisites() -> list[str]:
    """Returns what this machine lacks for the server, a sentence each."""
    missing = []
    if shutil.which("node") is None:
        missing.append("there is no Node.js (apt-get install nodejs, version 20 or later)")
    wanted = json.loads((HOME / "package.json").read_text())["dependencies"]
    missing += [
        f"the Node.js package '{name}' is not installed (npm ci --prefix {HOME})"
        for name in wanted
        if name not in appium_modules()
    ]
    if refused := private_network.missing_prerequisite():
        missing.append(
            f"Appium would take orders from every user of this machine: {refused} (run it with sudo, or with "
            "--set 'matrix.drivers=\"playwright\"')"
        )
    return missing


class AppiumServer:
    """A server in its own network. ``start`` returns its address; ``stop`` is safe to call twice."""

    def __init__(self, log_path: Path, on_death: Callable[[str], None] | None = None) -> None:
        """``on_death`` gets a sentence, on the watching thread, each time the server dies by itself."""
        self._log_path = log_path
        self._on_death = on_death
        self._stopping = threading.Event()
        self._settled = threading.Event()
        self._failure: EnvironmentLacks | None = None
        self._child: ChildProcess | None = None
        self._thread: threading.Thread | None = None
        self._network: PrivateNetwork | None = None
        self._address = AppiumAddress("", 0)
        self.restarts = 0

    @property
    def address(self) -> AppiumAddress:
        """The server's address, after ``start``."""
        return self._address

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def start(self) -> AppiumAddress:
        """Starts the server and waits until it answers. Raises EnvironmentLacks when it does not."""
        if missing := missing_prerequisites():
            raise EnvironmentLacks(missing[0])
        self._network = PrivateNetwork()
        self._address = AppiumAddress(self._network.path, free_port_in_network(self._network.path))
        self._thread = threading.Thread(target=self._keep_running, name="appium-server", daemon=True)
        self._thread.start()
        self._settled.wait()
        if self._failure is not None:
            self.stop()
            raise self._failure
        return self._address

    def stop(self) -> None:
        """Ends the server, its sessions and the watching thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._network is not None:
            self._network.close()

    def _keep_running(self) -> None:
        try:
            while not self._stopping.is_set() and self.restarts <= MAX_RESTARTS:
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
                    self._report_death(self._child)
        except (OSError, EnvironmentLacks) as error:
            self._failure = self._failure or EnvironmentLacks(f"the Appium server cannot be started: {error}")
        finally:
            if self._child is not None:
                self._child.stop(timeout_s=2.0)
            self._settled.set()

    def _report_death(self, dead: ChildProcess) -> None:
        if self._on_death is not None:
            ended = crash.describe_exit(dead.popen.returncode, dead.pid)
            self._on_death(f"the Appium server {ended}; it is started again")

    def _spawn(self) -> ChildProcess:
        assert self._network is not None
        node = shutil.which("node") or "node"
        arguments = [
            "server",
            "--address",
            "127.0.0.1",
            "--port",
            str(self._address.port),
            "--log-level",
            "info",
            "--log-no-colors",
            "--log-timestamp",
        ]
        return spawn(
            "the Appium server",
            [*self._network.exec_prefix, node, str(ENTRY), *arguments],
            log_path=self._log_path,
            env={
                "APPIUM_HOME": str(self._home()),
                POLICY_VARIABLE: policy(),
                "NODE_NO_WARNINGS": "1",
                "NO_UPDATE_NOTIFIER": "1",
            },
            cwd=HOME,
        )

    def _home(self) -> Path:
        """Returns a writable folder with the drivers, as Appium requires: HOME, or a folder of links to it."""
        if os.access(HOME, os.W_OK):
            return HOME
        home = self._log_path.with_name("appium_home")
        home.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "node_modules"):
            if not (home / name).is_symlink():
                (home / name).symlink_to(HOME / name)
        return home

    def _await_ready(self, child: ChildProcess) -> None:
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline_s and child.is_running() and not self._stopping.is_set():
            if self._address.is_ready():
                return
            self._stopping.wait(0.1)
        code = child.popen.poll()
        ended = (
            crash.describe_exit(code, child.pid)
            if code is not None
            else f"did not answer within {READY_TIMEOUT_S:.0f} s"
        )
        raise EnvironmentLacks(f"the Appium server {ended}", hint=child.log_tail())

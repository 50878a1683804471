"""The one Appium server of a run: started, watched and ended by the pytest controller.

``APPIUM_HOME`` is the folder whose package.json names the drivers, so Appium finds the Chromium driver there and
downloads nothing. A thread of its own starts the server, because the kernel's parent-death signal follows the thread
that forked; the same thread starts it again, on the same port, when it dies: the cell that lost its session is an
environment error, the cells after it are not.

Neither Appium nor chromedriver asks who it is that connects, and a capability names programs that they run. So both
live in a private network, which no other user of the machine can enter, and sessions are taken only in our own form
(``appium_server/gate.cjs``). A secret path would not do: it stands in the process list, and chromedriver has none.
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
from network_profiles.links.private_network import PrivateNetwork, free_port

HOME = Path(__file__).parent.parent / "appium_server"
ENTRY = HOME / "gate.cjs"
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
    if refused := private_network.missing_prerequisite():
        missing.append(
            f"Appium would take orders from every user of this machine: {refused} (run it with sudo, or with "
            "--set 'matrix.drivers=\"playwright\"')"
        )
    return missing


class AppiumServer:
    """A server in a network of its own. ``start`` returns its address; ``stop`` is safe to call twice."""

    def __init__(self, log_path: Path, on_death: Callable[[str], None] | None = None) -> None:
        """``on_death`` is told, by the watching thread, of every end that nobody asked for."""
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
        """Where it listens, from ``start`` on."""
        return self._address

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def start(self) -> AppiumAddress:
        """Starts the server and waits until it answers. Raises EnvironmentLacks when it does not."""
        if missing := lacks():
            raise EnvironmentLacks(missing[0])
        self._network = PrivateNetwork()
        self._address = AppiumAddress(self._network.path, free_port(self._network.path))
        self._thread = threading.Thread(target=self._keep_running, name="appium-server", daemon=True)
        self._thread.start()
        self._settled.wait()
        if self._failure is not None:
            self.stop()
            raise self._failure
        return self._address

    def stop(self) -> None:
        """Ends the server, its sessions and the thread that watches it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._network is not None:
            self._network.close()

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
                    self._tell(self._child)
        except (OSError, EnvironmentLacks) as error:
            self._failure = self._failure or EnvironmentLacks(f"the Appium server cannot be started: {error}")
        finally:
            if self._child is not None:
                self._child.stop(timeout_s=2.0)
            self._settled.set()

    def _tell(self, dead: ChildProcess) -> None:
        if self._on_death is not None:
            ended = crash.ending(dead.popen.returncode, dead.pid)
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
        """Returns a folder that names the drivers and is ours to write, as Appium insists, even where they are not."""
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
        ended = crash.ending(code, child.pid) if code is not None else f"did not answer within {READY_TIMEOUT_S:.0f} s"
        raise EnvironmentLacks(f"the Appium server {ended}", hint=child.last_words())

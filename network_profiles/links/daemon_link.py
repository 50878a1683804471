"""Starts and controls the daemon of an open link, for either backend.

In both backends a small process, the daemon, keeps a link's namespace alive. It runs inside the namespace, ends with
its owner, and answers each JSON line on stdin by one on stdout.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bedrock import crash
from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import ChildCrashed, EnvironmentLacks
from network_profiles.errors import LinkCannotBeBuilt, LinkLost
from network_profiles.links import namespace_processes
from network_profiles.links.addresses import Claim
from network_profiles.links.compiled import LINKS
from network_profiles.links.counters import LinkCounters
from network_profiles.links.shaped_link import BackendName
from network_profiles.model.plain_profile import plain_profile
from network_profiles.model.profile import NetworkProfile

READY_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 20.0
EXIT_TIMEOUT_S = 20.0
"""How long a daemon may take to exit after it closed a pipe: the kernel closes pipes before the process is gone."""


def missing_for_daemon() -> list[str]:
    """Returns one sentence for each thing that this machine lacks for a link of any backend."""
    missing = []
    if os.geteuid() != 0:
        missing.append("root is needed for namespaces and network devices (run it with sudo)")
    if not Path("/proc/self/ns/net").exists():
        missing.append("the kernel has no network namespaces (CONFIG_NET_NS)")
    missing += [
        f"'{program}' is not on this machine (apt-get install util-linux)"
        for program in ("nsenter", "setpriv")
        if shutil.which(program) is None
    ]
    return missing


def start_daemon(module: str, claim: Claim, profile: NetworkProfile, *, seed: int, name: str) -> ChildProcess | None:
    """Starts ``python -m module`` as the daemon of a link on ``claim``; None when the device's name is taken.

    Raises LinkCannotBeBuilt with the kernel's reason.
    """
    compiled = LINKS.find()
    settings = {
        "compiled": None if compiled is None else str(compiled),
        "device": claim.device,
        "host_address": claim.host_address,
        "device_address": claim.device_address,
        "seed": seed,
        "profile": plain_profile(profile),
    }
    # -S: the daemon needs no site-packages, and their .pth files cost start-up time and memory.
    argv = [sys.executable, "-S", "-m", module, json.dumps(settings), name]
    child = spawn(f"link {name}", argv, pipe_stdout=True)
    try:
        first_line = child.wait_ready(READY_TIMEOUT_S)
    except ChildCrashed:
        child.stop()
        raise
    except EnvironmentLacks as error:
        child.stop()
        raise LinkCannotBeBuilt(error.message, hint=error.hint) from None
    except BaseException:
        child.stop()
        raise
    if first_line["event"] == "ready":
        return child
    child.stop()
    if first_line.get("errno") == errno.EBUSY:
        return None
    raise LinkCannotBeBuilt(
        f"the kernel refused a shaped link: {first_line.get('what')}", hint="see 'ringfence doctor'"
    )


class DaemonLink:
    """A ShapedLink except for ``counters``, which each backend adds. Any thread may use it."""

    def __init__(self, backend: BackendName, child: ChildProcess, claim: Claim, profile: NetworkProfile) -> None:
        self.backend: BackendName = backend
        self.profile = profile
        self.host_address = claim.host_address
        self.device_address = claim.device_address
        self.device = claim.device
        self.pid = child.pid
        try:
            # Kept open, so that no later namespace gets the same inode, even when the daemon has died.
            self._namespace = os.open(f"/proc/{child.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise LinkLost(f"the daemon of link {claim.device} ended as soon as it was ready") from None
        self.namespace = os.fstat(self._namespace).st_ino
        self._child = child
        self._lock = threading.Lock()
        self._buffered = b""
        self._closed = False

    @property
    def exec_prefix(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--"]

    def is_alive(self) -> bool:
        return not self._closed and self._child.is_running()

    def counters(self) -> LinkCounters:
        raise NotImplementedError

    def set_profile(self, profile: NetworkProfile) -> None:
        self._request({"do": "set_profile", "profile": plain_profile(profile)})
        self.profile = profile

    def hold_timeline(self) -> None:
        self._request({"do": "hold"})

    def restart_timeline(self) -> float:
        return float(self._request({"do": "restart"})["at_s"])

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        namespace_processes.kill(
            [pid for pid in namespace_processes.processes_in_namespace(self.namespace) if pid != self.pid]
        )
        os.close(self._namespace)
        self._child.stop()

    def _request(self, command: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._child.popen.stdin, self._child.popen.stdout
        with self._lock:
            if self._closed or stdin is None or stdout is None:
                raise LinkLost(f"link {self.device} is closed")
            try:
                stdin.write(json.dumps(command).encode() + b"\n")
                stdin.flush()
                answer = json.loads(self._read_line(stdout.fileno()))
                if isinstance(answer, dict):
                    return answer
            except (BrokenPipeError, EOFError):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._child.popen.wait(EXIT_TIMEOUT_S)
            except (OSError, ValueError):
                pass  # reported below as no answer
        code = self._child.popen.poll()
        died = "does not answer" if code is None else crash.describe_exit(code, self.pid)
        raise LinkLost(
            f"the daemon of link {self.device} {died}",
            hint="results measured over this link do not count; run it again",
        )

    def _read_line(self, descriptor: int) -> bytes:
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while b"\n" not in self._buffered:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline_s - time.monotonic()))
            if not ready:
                raise TimeoutError("no answer")
            chunk = os.read(descriptor, 65536)
            if not chunk:
                raise EOFError("the daemon closed its end")
            self._buffered += chunk
        line, _, self._buffered = self._buffered.partition(b"\n")
        return line

"""An open link, as its owner holds it: addresses, the way in, and the conversation with the daemon."""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
from pathlib import Path
from typing import Any

from bedrock.child_process import ChildProcess
from network_profiles import inhabitants
from network_profiles.addresses import Claim
from network_profiles.counters import DirectionCounters, LinkCounters
from network_profiles.errors import LinkLost
from network_profiles.plain_profile import plain_profile
from network_profiles.profile import NetworkProfile

ANSWER_TIMEOUT_S = 5.0
_INNER_DEVICE = "link0"


class ShapedLink:
    """``host_address`` is in our own namespace, ``device_address`` inside the link's. Any thread may use it."""

    def __init__(self, child: ChildProcess, claim: Claim, profile: NetworkProfile) -> None:
        self.profile = profile
        self.host_address = claim.host_address
        self.device_address = claim.device_address
        self.device = claim.device
        """Name of the host end's device."""
        self.pid = child.pid
        """The daemon, which is in the namespace."""
        try:
            self.namespace = inhabitants.namespace_inode(child.pid)
        except OSError:
            raise LinkLost(f"the daemon of link {claim.device} ended as soon as it was ready") from None
        self._child = child
        self._lock = threading.Lock()
        self._buffered = b""
        self._closed = False

    @property
    def exec_prefix(self) -> list[str]:
        """What to put before a command to run it behind the link."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--"]

    def is_alive(self) -> bool:
        """Whether packets are still carried."""
        return not self._closed and self._child.is_running()

    def counters(self) -> LinkCounters:
        """Returns what the link did so far. Raises LinkLost."""
        answer = self._ask({"do": "counters"})
        # A packet that finds the queue before a TUN device full counts as dropped by the device it was leaving by.
        down_overrun = _dropped_before(Path("/proc/net/dev"), self.device)
        up_overrun = _dropped_before(Path(f"/proc/{self.pid}/net/dev"), _INNER_DEVICE)
        return LinkCounters(
            down=DirectionCounters(**answer["down"], overrun=down_overrun),
            up=DirectionCounters(**answer["up"], overrun=up_overrun),
        )

    def set_profile(self, profile: NetworkProfile) -> None:
        """Makes the link another one from the next packet on, its timeline beginning now. Raises LinkLost."""
        self._ask({"do": "set_profile", "profile": plain_profile(profile)})
        self.profile = profile

    def hold_timeline(self) -> None:
        """Keeps the link as it is apart from its phases and outages, so that it can be measured. Raises LinkLost."""
        self._ask({"do": "hold"})

    def restart_timeline(self) -> None:
        """Begins the phases and outages anew, now. Raises LinkLost."""
        self._ask({"do": "restart"})

    def close(self) -> None:
        """Kills what still runs behind the link, then ends it. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        behind = inhabitants.inhabitants(self.namespace)
        if self.pid not in behind:  # the daemon is dead, and the inode may be another namespace's by now
            behind = inhabitants.cut_off(behind)
        inhabitants.kill([pid for pid in behind if pid != self.pid])
        self._child.stop()

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._child.popen.stdin, self._child.popen.stdout
        with self._lock:
            if self._closed or stdin is None or stdout is None:
                raise LinkLost(f"link {self.device} is closed")
            with contextlib.suppress(OSError, ValueError):
                stdin.write(json.dumps(command).encode() + b"\n")
                stdin.flush()
                answer = json.loads(self._read_line(stdout.fileno()))
                if isinstance(answer, dict):
                    return answer
        raise LinkLost(
            f"the daemon of link {self.device} {'does not answer' if self._child.is_running() else 'is dead'}",
            hint="what was measured over this link does not count; run it again",
        )

    def _read_line(self, descriptor: int) -> bytes:
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while b"\n" not in self._buffered:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline_s - time.monotonic()))
            chunk = os.read(descriptor, 65536) if ready else b""
            if not chunk:
                raise OSError("no answer")
            self._buffered += chunk
        line, _, self._buffered = self._buffered.partition(b"\n")
        return line


def _dropped_before(device_table: Path, device: str) -> int:
    """Reads the device's count of packets dropped on sending from the table of its namespace; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in device_table.read_text().splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == device:
                return int(numbers.split()[11])
    return 0

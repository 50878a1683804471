"""One endpoint of a probe: ``python -m network_profiles.verification.probe.endpoint ADDRESS``.

The same program runs on the host and inside the namespace.

It binds a UDP port and prints ``{"event": "ready", "port": …}``. Then it reads one JSON line from stdin:
``{"peer": [address, port], "starts_at_s": …, "ends_at_s": …, "sends": [[after start, bytes], …]}``. At the end it
prints ``{"sent": [at_s, …], "received": [[number, at_s], …]}``. All times are CLOCK_MONOTONIC, which all namespaces of
the machine share, so a delay between the two endpoints is truly one-way. The kernel stamps arrivals, so a late read by
this process does not count against the link.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from typing import Any

from bedrock import crash
from bedrock.exit_codes import ExitCode
from network_profiles.links.timestamped_udp import numbered_payload, open_udp, receive, wall_to_monotonic_s

_SENDS_AT_ONCE = 16
_READS_AT_ONCE = 64


class ProbeEnd:
    """Sends by the plan and records what arrives."""

    def __init__(self, udp: socket.socket, command: dict[str, Any]) -> None:
        self._udp = udp
        self._peer = tuple(command["peer"])
        self._starts_at_s: float = command["starts_at_s"]
        self._ends_at_s: float = command["ends_at_s"]
        self._sends: list[tuple[float, int]] = [(at_s, size) for at_s, size in command["sends"]]
        self.sent: list[float] = []
        self.received: list[tuple[int, float]] = []

    def run(self) -> None:
        """Sends and receives until the plan's time is over."""
        while (now_s := time.monotonic()) < self._ends_at_s:
            next_s = self._send_due(now_s)
            wait_s = max(0.0, min(next_s, self._ends_at_s) - time.monotonic())
            if select.select([self._udp], [], [], wait_s)[0]:
                self._receive()

    def _send_due(self, now_s: float) -> float:
        for _ in range(_SENDS_AT_ONCE):
            if len(self.sent) == len(self._sends):
                return self._ends_at_s
            after_s, size = self._sends[len(self.sent)]
            if self._starts_at_s + after_s > now_s:
                return self._starts_at_s + after_s
            payload = numbered_payload(len(self.sent), size)
            at_s = time.monotonic()
            try:
                self._udp.sendto(payload, self._peer)
            except BlockingIOError:
                return now_s
            self.sent.append(at_s)
        return now_s

    def _receive(self) -> None:
        offset_s = wall_to_monotonic_s()
        for _ in range(_READS_AT_ONCE):
            try:
                number, at_s, sender = receive(self._udp, offset_s)
            except BlockingIOError:
                return
            if sender == self._peer:
                self.received.append((number, at_s))


def main() -> int:
    """Runs one endpoint."""
    with open_udp(sys.argv[1]) as udp:
        udp.setblocking(False)
        print(json.dumps({"event": "ready", "port": udp.getsockname()[1]}), flush=True)
        line = sys.stdin.readline()
        if not line:
            return ExitCode.ENVIRONMENT
        end = ProbeEnd(udp, json.loads(line))
        try:
            end.run()
        except OSError as error:  # the link has died; the parent reports that
            print(f"probe endpoint {sys.argv[1]}: {error.strerror}", file=sys.stderr)
            return ExitCode.ENVIRONMENT
    print(json.dumps({"sent": end.sent, "received": end.received}), flush=True)
    return 0


if __name__ == "__main__":
    with crash.reporting("network_profiles.verification.probe.endpoint"):
        sys.exit(main())

"""One end of a probe: ``python -m network_profiles.verification.probe.endpoint ADDRESS``.

The same program runs at the host end and inside the namespace.

It binds a UDP port and prints ``{"event": "ready", "port": …}``. One JSON line on stdin tells it what to do:
``{"peer": [address, port], "starts_at_s": …, "ends_at_s": …, "sends": [[after start, bytes], …]}``. At the end it
prints ``{"sent": [at_s, …], "received": [[number, at_s], …]}``. All times are CLOCK_MONOTONIC, which every namespace
of the machine shares, so the delays between the two ends are truly one-way. Packets are stamped by the kernel as they
arrive: that this process was slow to look does not count against the link.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import sys
import time
from typing import Any

from bedrock import crash
from bedrock.exit_codes import ExitCode
from network_profiles.verification.probe.probe_plan import HEADERS_BYTES

_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
_TIMESPEC = struct.Struct("qq")
_NUMBER = struct.Struct("!I")
_SENDS_AT_ONCE = 16
_READS_AT_ONCE = 64


class ProbeEnd:
    """Sends by the plan and notes what arrives."""

    def __init__(self, udp: socket.socket, command: dict[str, Any]) -> None:
        self._udp = udp
        self._peer = tuple(command["peer"])
        self._starts_at_s: float = command["starts_at_s"]
        self._ends_at_s: float = command["ends_at_s"]
        self._sends: list[tuple[float, int]] = [(at_s, size) for at_s, size in command["sends"]]
        self.sent: list[float] = []
        self.received: list[tuple[int, float]] = []

    def run(self) -> None:
        """Returns when the plan's time is over."""
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
            payload = _NUMBER.pack(len(self.sent)).ljust(size - HEADERS_BYTES, b"\0")
            at_s = time.monotonic()
            try:
                self._udp.sendto(payload, self._peer)
            except BlockingIOError:
                return now_s
            self.sent.append(at_s)
        return now_s

    def _receive(self) -> None:
        monotonic_offset_s = time.monotonic() - time.time()
        for _ in range(_READS_AT_ONCE):
            try:
                payload, ancillary, _, peer = self._udp.recvmsg(2048, 64)
            except BlockingIOError:
                return
            if peer != self._peer:
                continue
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            at_s = seconds + nanoseconds / 1e9 + monotonic_offset_s
            self.received.append((_NUMBER.unpack_from(payload)[0], at_s))


def main() -> int:
    """Runs one end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        with contextlib.suppress(OSError):
            udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
        udp.setblocking(False)
        udp.bind((sys.argv[1], 0))
        print(json.dumps({"event": "ready", "port": udp.getsockname()[1]}), flush=True)
        line = sys.stdin.readline()
        if not line:
            return ExitCode.ENVIRONMENT
        end = ProbeEnd(udp, json.loads(line))
        try:
            end.run()
        except OSError as error:  # the link has gone in the middle: whoever measures says so
            print(f"probe end {sys.argv[1]}: {error.strerror}", file=sys.stderr)
            return ExitCode.ENVIRONMENT
    print(json.dumps({"sent": end.sent, "received": end.received}), flush=True)
    return 0


if __name__ == "__main__":
    with crash.told("network_profiles.verification.probe.endpoint"):
        sys.exit(main())

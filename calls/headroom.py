"""Measures how much of the kernel's limits is used: file descriptors and local ports. Linux only."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SOCKETS = Path("/proc/self/net/sockstat")
_OWN_FDS = Path("/proc/self/fd")


def host_name() -> str:
    """Returns this machine's name, as it appears in the records of a run."""
    return socket.gethostname()


def fds_used_ratio() -> float:
    """Returns this process's open file descriptors over its soft limit; 0 without a limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit in (0, resource.RLIM_INFINITY):
        return 0.0
    # Linux 6.2 and later report the count as the folder's size; before that it must be listed.
    return (_OWN_FDS.stat().st_size or len(os.listdir(_OWN_FDS))) / limit


def ports_used_ratio() -> float:
    """Returns the sockets of this network namespace over the kernel's local port range; 0 when unknown.

    UDP and TCP have separate ports; the larger ratio is returned. TCP includes TIME_WAIT, which holds its port.
    """
    try:
        low, high = map(int, _PORT_RANGE.read_text(encoding="utf-8").split())
        used = sockets_used(_SOCKETS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0
    return used / max(1, high - low + 1)


def sockets_used(sockstat: str) -> int:
    """Returns the larger of the UDP and the TCP socket count in ``/proc/net/sockstat``."""
    by_kind: dict[str, dict[str, int]] = {}
    for line in sockstat.splitlines():
        kind, _, rest = line.partition(":")
        words = rest.split()
        by_kind[kind] = {name: int(count) for name, count in zip(words[::2], words[1::2], strict=False)}
    tcp, udp = by_kind.get("TCP", {}), by_kind.get("UDP", {})
    return max(udp.get("inuse", 0), tcp.get("inuse", 0) + tcp.get("tw", 0))

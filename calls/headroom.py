"""How much of what the kernel allows a generator is used up: file descriptors and local ports. Linux only."""

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
    """Returns the open file descriptors of this process over its soft limit, 0 where there is none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit in (0, resource.RLIM_INFINITY):
        return 0.0
    # Linux 6.2 and later tell the count as the folder's size; before that it must be read.
    return (_OWN_FDS.stat().st_size or len(os.listdir(_OWN_FDS))) / limit


def ports_used_ratio() -> float:
    """Returns the sockets of this network namespace over the ports that the kernel hands out, 0 when unknown.

    UDP and TCP count apart, the worse one is told; TCP with what waits in TIME_WAIT, which holds its port, too.
    """
    try:
        low, high = map(int, _PORT_RANGE.read_text(encoding="utf-8").split())
        used = sockets_used(_SOCKETS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0
    return used / max(1, high - low + 1)


def sockets_used(sockstat: str) -> int:
    """Returns the larger of the UDP and the TCP sockets that ``/proc/net/sockstat`` tells."""
    by_kind: dict[str, dict[str, int]] = {}
    for line in sockstat.splitlines():
        kind, _, rest = line.partition(":")
        words = rest.split()
        by_kind[kind] = {name: int(count) for name, count in zip(words[::2], words[1::2], strict=False)}
    tcp, udp = by_kind.get("TCP", {}), by_kind.get("UDP", {})
    return max(udp.get("inuse", 0), tcp.get("inuse", 0) + tcp.get("tw", 0))

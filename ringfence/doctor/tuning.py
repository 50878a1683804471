"""Checks kernel settings that bound a large swarm: socket buffers, ports, connection tracking."""

from __future__ import annotations

from pathlib import Path

from ringfence.doctor.finding import Finding

PROC = Path("/proc")
RECEIVE_BUFFER_BYTES = 512 * 1024
"""The receive buffer that the engine asks for, for each media socket."""
PORTS_PER_CALL = 4
"""Both sides on one machine, each with a UDP port for media and a TCP port for signaling."""
CALLS_WANTED = 300
"""Calls that one core carries. A machine with room for fewer is limited by its settings, not by its processors."""


def check_tuning(proc: Path = PROC) -> list[Finding]:
    """Checks each setting against what the calls of one core need."""
    checks = [_receive_buffers(proc), _ports(proc), _connection_tracking(proc)]
    return [check for check in checks if check is not None]


def _receive_buffers(proc: Path) -> Finding | None:
    most = _number(proc / "sys/net/core/rmem_max")
    if most is None:
        return None
    ok = most >= RECEIVE_BUFFER_BYTES
    fix = "" if ok else f"sysctl -w net.core.rmem_max={4 * RECEIVE_BUFFER_BYTES}"
    return Finding("receive buffers", ok, f"{most // 1024} kB at most (needed: {RECEIVE_BUFFER_BYTES // 1024} kB)", fix)


def _ports(proc: Path) -> Finding | None:
    try:
        low, high = (int(word) for word in (proc / "sys/net/ipv4/ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        return None
    used = sum(_lines(proc / "net" / name) for name in ("udp", "tcp"))
    room = max(0, high - low + 1 - used) // PORTS_PER_CALL
    ok = room >= CALLS_WANTED
    fix = "" if ok else 'sysctl -w net.ipv4.ip_local_port_range="10240 65000"'
    return Finding("ports", ok, f"{low} to {high}, {used} in use: room for {room} calls", fix)


def _connection_tracking(proc: Path) -> Finding | None:
    """A full table of connection tracking drops packets without a message."""
    most = _number(proc / "sys/net/netfilter/nf_conntrack_max")
    used = _number(proc / "sys/net/netfilter/nf_conntrack_count")
    if most is None or used is None:
        return None
    room = (most - used) // PORTS_PER_CALL
    ok = room >= CALLS_WANTED
    fix = "" if ok else f"sysctl -w net.netfilter.nf_conntrack_max={used + 10 * CALLS_WANTED * PORTS_PER_CALL}"
    return Finding("connection tracking", ok, f"{used} of {most} entries: room for {room} calls", fix)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _lines(path: Path) -> int:
    """Entries of a table of /proc; its first line is a heading."""
    try:
        return max(0, len(path.read_text(encoding="utf-8").splitlines()) - 1)
    except OSError:
        return 0

"""What a machine that carries a large swarm should be tuned for, as far as it can be read here."""

from __future__ import annotations

from pathlib import Path

from ringfence.doctor.finding import Finding

PROC = Path("/proc")
RECEIVE_BUFFER_BYTES = 512 * 1024
"""What the engine asks the kernel for, for every socket that media come in on."""
PORTS_PER_CALL = 4
"""Both sides on one machine: a UDP port for each one's media, a TCP port for each one's signaling."""
CALLS_WANTED = 300
"""What one core carries: a machine with less room than that is bound by its settings and not by its processors."""


def check_tuning(proc: Path = PROC) -> list[Finding]:
    """Socket buffers, ports and connection tracking, each against what one core's calls need."""
    checks = [_receive_buffers(proc), _ports(proc), _connection_tracking(proc)]
    return [check for check in checks if check is not None]


def _receive_buffers(proc: Path) -> Finding | None:
    most = _number(proc / "sys/net/core/rmem_max")
    if most is None:
        return None
    ok = most >= RECEIVE_BUFFER_BYTES
    fix = "" if ok else f"sysctl -w net.core.rmem_max={4 * RECEIVE_BUFFER_BYTES}"
    return Finding(
        "receive buffers", ok, f"{most // 1024} kB at most, {RECEIVE_BUFFER_BYTES // 1024} kB asked for", fix
    )


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
    """Connection tracking forgets flows when its table is full: packets are dropped and nobody is told."""
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

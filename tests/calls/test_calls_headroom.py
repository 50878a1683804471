"""What a generator has left of its machine's limits, against sockets and files that are really opened."""

from __future__ import annotations

import os
import resource
import socket

import pytest

from calls.headroom import fds_used_ratio, host_name, ports_used_ratio, sockets_used

SOCKSTAT = "sockets: used 690\nTCP: inuse 40 orphan 0 tw 7 alloc 3 mem 140\nUDP: inuse 30 mem 465\nRAW: inuse 0\n"


def test_every_open_file_shows() -> None:
    before = fds_used_ratio()
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(64)]
    try:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert fds_used_ratio() == pytest.approx(before + 64 / limit, abs=8 / limit)
    finally:
        for fd in opened:
            os.close(fd)


def test_every_open_socket_shows() -> None:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(500)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        assert 500 / 64_512 <= ports_used_ratio() < 1
    finally:
        for each in sockets:
            each.close()


def test_tcp_counts_with_what_waits_for_its_end() -> None:
    assert sockets_used(SOCKSTAT) == 47
    assert sockets_used("UDP: inuse 5 mem 1\n") == 5
    assert host_name()

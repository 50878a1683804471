"""Finds a free port on loopback."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_port(address: str = LOOPBACK, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Returns a port that is free now: TCP by default, UDP with ``SOCK_DGRAM``.

    Another process may take the port before the caller binds it. Where the program that listens can choose the port
    itself (port 0), that is safer. Raises OSError when ``address`` cannot be bound.
    """
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])

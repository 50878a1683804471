from __future__ import annotations

import socket

import pytest

from bedrock.free_port import LOOPBACK, free_port


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_free_port_can_be_bound(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as bound:
        bound.bind((LOOPBACK, free_port(kind=kind)))


def test_an_address_of_another_machine_has_no_port() -> None:
    with pytest.raises(OSError, match="assign"):
        free_port("192.0.2.1")

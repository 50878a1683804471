"""A network that only we enter: what listens inside is heard by us and by nobody outside."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import private_network
from network_profiles.links.private_network import PrivateNetwork, connect, free_port_in_network, run_in_network

needs_namespaces = pytest.mark.skipif(bool(private_network.missing_prerequisite()), reason="no network namespaces here")
NOBODY = 65534


@pytest.fixture
def network() -> Iterator[PrivateNetwork]:
    made = PrivateNetwork()
    yield made
    made.close()


@needs_namespaces
def test_what_listens_inside_is_reached_by_us_and_by_nobody_outside(network: PrivateNetwork) -> None:
    port = free_port_in_network(network.path)
    before = os.readlink("/proc/thread-self/ns/net")
    with run_in_network(network.path, lambda: socket.create_server(("127.0.0.1", port))) as listening:
        with connect(network.path, port, 10) as ours:
            accepted, _ = listening.accept()
            with accepted:
                accepted.sendall(b"in")
            assert ours.recv(10) == b"in"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 10)
    assert os.readlink("/proc/thread-self/ns/net") == before, "our own threads stay where they are"


@needs_namespaces
def test_a_program_is_started_inside_and_sees_loopback_alone(network: PrivateNetwork) -> None:
    seen = subprocess.run(
        [*network.exec_prefix, "cat", "/proc/net/dev"], capture_output=True, text=True, check=True
    ).stdout
    assert [line.partition(":")[0].strip() for line in seen.splitlines()[2:]] == ["lo"]


@needs_namespaces
def test_who_has_no_rights_is_kept_out(network: PrivateNetwork) -> None:
    entered = subprocess.run(
        ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--inh-caps=-all",
         *network.exec_prefix, "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert entered.returncode != 0
    assert "ermission denied" in entered.stderr


@needs_namespaces
def test_once_closed_nobody_enters(network: PrivateNetwork) -> None:
    path = network.path
    network.close()
    network.close()
    with pytest.raises(OSError, match="No such file"):
        connect(path, 1, 1)


def test_a_kernel_that_refuses_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(private_network.interfaces, "enter_new_network_namespace", refuse)
    with pytest.raises(LinkCannotBeBuilt, match="refuses a network namespace: Operation not permitted"):
        PrivateNetwork()
    assert "Operation not permitted" in private_network.missing_prerequisite()

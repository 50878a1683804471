"""Makes a network namespace with only loopback, for servers that obey anybody who can connect to them.

Nobody outside can reach a server on 127.0.0.1 in there. Other users of the machine cannot enter the namespace; our own
threads enter it one by one. The namespace has no name: it ends with its maker and the last program inside.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

from bedrock.free_port import LOOPBACK, free_port
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import interfaces

Result = TypeVar("Result")


class PrivateNetwork:
    """A private network, kept alive by a descriptor of this process until ``close``."""

    def __init__(self) -> None:
        """Raises LinkCannotBeBuilt when the kernel refuses a network namespace."""
        try:
            self._descriptor = run_in_own_thread(_make)
        except OSError as error:
            sentence = f"the kernel refuses a network namespace: {error.strerror}"
            raise LinkCannotBeBuilt(sentence, hint="run it with sudo") from None

    @property
    def path(self) -> str:
        """The file by which our other processes enter the network while it is open here."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @property
    def exec_prefix(self) -> list[str]:
        """The argv prefix that runs a command in the network."""
        return enter_prefix(self.path)

    def close(self) -> None:
        """Closes our descriptor of the network. Safe to call twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def missing_prerequisite() -> str:
    """Returns why this machine cannot have a private network; empty when it can."""
    try:
        PrivateNetwork().close()
    except LinkCannotBeBuilt as error:
        return error.message
    return ""


def enter_prefix(path: str) -> list[str]:
    """Returns the argv prefix that runs a command in the network at ``path``."""
    return ["nsenter", f"--net={path}", "--"]


def own_network_path() -> str:
    """Returns the path by which other processes enter our own network while this process lives."""
    return f"/proc/{os.getpid()}/ns/net"


def connect(path: str, port: int, timeout_s: float | None) -> socket.socket:
    """Returns a connection to ``port`` of loopback in the network at ``path``. Raises OSError."""
    return run_in_network(path, lambda: socket.create_connection((LOOPBACK, port), timeout_s))


def free_port_in_network(path: str) -> int:
    """Returns a free TCP port of loopback in the network at ``path``. Raises OSError."""
    return run_in_network(path, free_port)


def run_in_network(path: str, act: Callable[[], Result]) -> Result:
    """Runs ``act`` in the network at ``path`` and returns its result. Its sockets stay there. Raises OSError."""

    def enter_and_act() -> Result:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            interfaces.enter_network_namespace(descriptor)
        finally:
            os.close(descriptor)
        return act()

    return run_in_own_thread(enter_and_act)


def run_in_own_thread(act: Callable[[], Result]) -> Result:
    """Runs ``act`` in a new thread and returns or raises what it does. So the caller's thread keeps its own network."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(act())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="private network", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _make() -> int:
    interfaces.enter_new_network_namespace()
    interfaces.bring_loopback_up()
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

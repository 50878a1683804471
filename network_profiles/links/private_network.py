"""A network without any device but loopback, for programs that take orders from whoever connects to them.

What listens on 127.0.0.1 there is reached by nobody outside: another user of the machine cannot enter it, and we do,
a thread at a time. The network has no name; it ends with whoever made it and the last program inside.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import interfaces

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
LOOPBACK = "127.0.0.1"
Result = TypeVar("Result")


class PrivateNetwork:
    """One such network, held open by a descriptor of ours until ``close``."""

    def __init__(self) -> None:
        """Raises LinkCannotBeBuilt where the kernel does not let us have one."""
        try:
            self._descriptor = in_thread_of_its_own(_make)
        except OSError as error:
            sentence = f"the kernel refuses a network namespace: {error.strerror}"
            raise LinkCannotBeBuilt(sentence, hint="run it with sudo") from None

    @property
    def path(self) -> str:
        """The file by which other processes of ours enter it, for as long as it is open here."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @property
    def exec_prefix(self) -> list[str]:
        """The argv prefix that runs a command inside."""
        return enter_prefix(self.path)

    def close(self) -> None:
        """Lets go of it. Safe to call twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def lacks() -> str:
    """Returns why there can be no such network here, empty when there can."""
    try:
        PrivateNetwork().close()
    except LinkCannotBeBuilt as error:
        return error.message
    return ""


def enter_prefix(path: str) -> list[str]:
    """Returns the argv prefix that runs a command in the network at ``path``."""
    return ["nsenter", f"--net={path}", "--"]


def own_network() -> str:
    """Returns the path of the network that we are in, for other processes, while we live."""
    return f"/proc/{os.getpid()}/ns/net"


def connect(path: str, port: int, timeout_s: float | None) -> socket.socket:
    """Returns a connection to ``port`` of loopback in the network at ``path``. Raises OSError."""
    return run_inside(path, lambda: socket.create_connection((LOOPBACK, port), timeout_s))


def free_port(path: str) -> int:
    """Returns a TCP port that was free a moment ago on loopback in the network at ``path``. Raises OSError."""
    return run_inside(path, _free_port)


def run_inside(path: str, act: Callable[[], Result]) -> Result:
    """Returns what ``act`` returns in the network at ``path``. Sockets that it makes stay there. Raises OSError."""

    def enter_and_act() -> Result:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), path)
        finally:
            os.close(descriptor)
        return act()

    return in_thread_of_its_own(enter_and_act)


def in_thread_of_its_own(act: Callable[[], Result]) -> Result:
    """Returns what ``act`` returns, or raises what it raises: a network belongs to a thread, and ours keeps its own."""
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        address: Any = probe.getsockname()
        return int(address[1])

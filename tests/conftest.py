"""Guards that hold for every test: nothing may outlive it."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from waiting import PATIENCE

# A shell that starts us in the background has us ignore Ctrl-C, and so would every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

SETTLE_S = 30.0 * PATIENCE
"""How long a thread, a child or a descriptor that is on its way out may take to go."""


def _descriptors() -> dict[str, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = os.readlink(entry)
        except OSError:
            continue
    return {number: target for number, target in found.items() if not target.startswith("/proc/")}


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE}


def _threads() -> set[str]:
    return {f"{thread.name}#{thread.ident}" for thread in threading.enumerate()}


def pytest_configure(config: pytest.Config) -> None:
    """Gives a test that hangs as much more time as the machine was said to need."""
    if PATIENCE != 1 and config.getoption("timeout", None) is None:
        config.option.timeout = float(config.getini("timeout")) * PATIENCE


def pytest_collection_modifyitems() -> None:
    """Refuses a process that gevent has patched, which importing Locust does: its threads never wake again."""
    if "gevent.monkey" in sys.modules and sys.modules["gevent.monkey"].is_module_patched("threading"):
        raise pytest.UsageError("a test module imports Locust, and gevent has patched this process: start a child")


@pytest.fixture(autouse=True)
def leak_guard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a thread, a child process or a file descriptor behind.

    Fixtures of a wider scope are set up before this one, so what they own is not counted against a test.
    """
    threads, children, descriptors = _threads(), _children(), _descriptors()
    yield
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        new_descriptors = {
            target for number, target in _descriptors().items() if descriptors.get(number) != target
        } - set(descriptors.values())
        left = {
            "threads": _threads() - threads,
            "child processes": _children() - children,
            "file descriptors": {_told(target) for target in new_descriptors if not _is_shared(target)},
        }
        if not any(left.values()):
            return
        if time.monotonic() > deadline_s:
            break
        gc.collect()
        time.sleep(0.05)
    pytest.fail(
        "left behind: " + "; ".join(f"{what}: {sorted(map(str, which))}" for what, which in left.items() if which)
    )


def _told(target: str) -> str:
    """Says where a socket leads, so that its owner can be found.

    The socket itself is asked: the process's tables of connections do not list a socket of another network namespace.
    """
    if not target.startswith("socket:"):
        return target
    ends = []
    for number in [number for number, found in _descriptors().items() if found == target]:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(number))) as copy:
            ends.append(f"{copy.family.name} {copy.type.name} {copy.getsockname()} -> {_far_side(copy)}")
    return f"{target} {', '.join(ends)}"


def _far_side(connection: socket.socket) -> object:
    try:
        return connection.getpeername()
    except OSError as error:
        return error.strerror


def _is_shared(target: str) -> bool:
    """Files that a library opens once for the process and keeps."""
    return target.startswith(("/dev/", "/usr/", "/sys/")) or ".venv" in target

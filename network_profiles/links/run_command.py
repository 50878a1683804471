"""Runs any command behind a link, as if its machine were on that network."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from bedrock.errors import EnvironmentLacks, InputError, Problem
from network_profiles.links.open_link import open_link
from network_profiles.links.shaped_link import ShapedLink
from network_profiles.model.profile import NetworkProfile

FAR_END = "RINGFENCE_FAR_END"
"""Environment variable of the command: the address of the link's other end, where pings and servers answer."""
_INTERRUPT_GRACE_S = 2.0


def run_behind(
    profile: NetworkProfile,
    argv: Sequence[str],
    seed: int,
    backend: str | None = None,
    *,
    before: Callable[[ShapedLink], None] = lambda _link: None,
) -> int:
    """Runs ``argv`` behind ``profile`` on our terminal, and returns its exit code (128 + signal when killed).

    ``$RINGFENCE_FAR_END`` in an argument is replaced by that address: the calling shell could not know it yet.
    ``before`` may measure the link first, and refuse it by raising. The command handles the first Ctrl-C; a second
    one kills it. Raises InputError without a command, EnvironmentLacks for an unknown command, LinkCannotBeBuilt when
    no link can be opened.
    """
    if not argv:
        raise InputError([Problem("command line", "command", "is missing: write it after the profile and --")])
    if shutil.which(argv[0]) is None:
        raise EnvironmentLacks(f"there is no command '{argv[0]}' on this machine")
    name = f"exec-{os.path.basename(argv[0])}"
    with open_link(profile, seed=seed, name=name, backend=backend) as link:
        before(link)
        code = _run(link, argv)
    return code if code >= 0 else 128 - code


def _run(link: ShapedLink, argv: Sequence[str]) -> int:
    resolved = [argument.replace(f"${FAR_END}", link.host_address) for argument in argv]
    with _interrupts() as interrupt:
        command = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *link.exec_prefix, *resolved],
            env={**os.environ, FAR_END: link.host_address},
        )
        try:
            return _wait(command, interrupt)
        finally:
            if command.poll() is None:
                command.kill()
                command.wait()


class _Interrupt:
    """Signals Ctrl-C by making ``descriptor`` readable, never by an exception.

    An exception raised while a child ends would lose its exit code: waitpid has returned it, but it is not stored yet.
    ``subprocess`` cannot ask again and would report 0.
    """

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        os.eventfd_write(self.descriptor, 1)

    def comes_before(self, ended: int, within_s: float | None = None) -> bool:
        """Waits for ``ended`` to become readable; returns whether Ctrl-C or the end of the time came first."""
        readable, _, _ = select.select([ended, self.descriptor], [], [], within_s)
        if self.descriptor in readable:
            os.eventfd_read(self.descriptor)
        return ended not in readable


@contextlib.contextmanager
def _interrupts() -> Iterator[_Interrupt]:
    """Handles Ctrl-C inside the block, also between the command's start and our wait for it."""
    interrupt = _Interrupt()
    try:
        if threading.current_thread() is not threading.main_thread():
            yield interrupt
            return
        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield interrupt
        finally:
            signal.signal(signal.SIGINT, before)
    finally:
        os.close(interrupt.descriptor)


def _wait(command: subprocess.Popen[bytes], interrupt: _Interrupt) -> int:
    ended = os.pidfd_open(command.pid)
    try:
        # A terminal sends SIGINT to the command too. Another sender may signal only us: then we pass it on.
        if interrupt.comes_before(ended) and interrupt.comes_before(ended, _INTERRUPT_GRACE_S):
            command.send_signal(signal.SIGINT)
            if interrupt.comes_before(ended):
                command.kill()
        return command.wait()
    finally:
        os.close(ended)

"""Three machines as far as Locust and the calls can tell: namespaces with addresses of their own on one bridge, and
a mount namespace each, in which the master's disk can be taken away."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from waiting import HANG_LIMIT_S

NET = "10.214.77"
MACHINES = 3


def lacks() -> str:
    """Why no such machines can be built here, empty when they can."""
    if os.geteuid() != 0:
        return "root is needed for namespaces"
    missing = [program for program in ("ip", "unshare", "nsenter") if shutil.which(program) is None]
    return f"no {', '.join(missing)}" if missing else ""


@dataclass(frozen=True)
class Machine:
    """One namespace, held open by a process of its own."""

    holder: subprocess.Popen[bytes]
    address: str

    @property
    def enter(self) -> list[str]:
        """The beginning of a command line that runs inside."""
        return ["nsenter", f"--target={self.holder.pid}", "--net", "--mount", "--"]

    def hide(self, folder: str) -> None:
        """Takes a folder of this machine's disk away: something empty lies over it."""
        run([*self.enter, "mount", "-t", "tmpfs", "none", folder])


def run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def three_machines() -> Iterator[list[Machine]]:
    """Machines at 10.214.77.1 to .3. The switch between them lives in a namespace too: the host's is not touched."""
    with contextlib.ExitStack() as stack:
        holders = []
        for _ in range(MACHINES + 1):
            holder = subprocess.Popen(
                ["unshare", "--net", "--mount", "sh", "-c", "echo; exec cat"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            stack.callback(end, holder)
            assert holder.stdout is not None
            holder.stdout.readline()  # it is inside
            holders.append(holder)
        switch = ["nsenter", f"--target={holders[0].pid}", "--net", "--"]
        run([*switch, "ip", "link", "add", "switch", "type", "bridge"])
        run([*switch, "ip", "link", "set", "switch", "up"])
        machines = []
        for number, holder in enumerate(holders[1:], 1):
            machine = Machine(holder, f"{NET}.{number}")
            port = f"port{number}"
            run([*switch, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid)])
            run([*switch, "ip", "link", "set", port, "master", "switch", "up"])
            run([*machine.enter, "ip", "link", "set", "lo", "up"])
            run([*machine.enter, "ip", "addr", "add", f"{machine.address}/24", "dev", "eth0"])
            run([*machine.enter, "ip", "link", "set", "eth0", "up"])
            machines.append(machine)
        yield machines


def end(holder: subprocess.Popen[bytes]) -> None:
    """Lets a namespace go: it vanishes with its last process."""
    for pipe in (holder.stdin, holder.stdout):
        if pipe is not None:
            pipe.close()
    holder.wait(HANG_LIMIT_S)

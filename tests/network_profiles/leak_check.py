"""Breaks links in every way and prints what is left: ``python leak_check.py``, in namespaces of its own.

It needs network, mount and process namespaces without any other process. Then "nothing is left" is exact: no process
but itself, no device but loopback, no address claim, no network namespace but its own, no rule.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from waiting import HANG_LIMIT_S, eventually

from network_profiles.links.addresses import claims_folder
from network_profiles.links.interfaces import bring_loopback_up
from network_profiles.links.open_link import sweep

RINGFENCE = [sys.executable, "-m", "ringfence"]
# A child that has left the session and lost its parent: what no parent-death signal reaches.
STRAY = "setsid sleep 600 & echo up; exec sleep 600"


def processes() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
            if state != "Z":
                found.add(f"{entry.name} {words[:90]}")
    return found


def devices() -> set[str]:
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return {line.partition(":")[0].strip() for line in lines} - {"lo"}


def namespaces() -> set[str]:
    own = os.readlink("/proc/self/ns/net")
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.readlink(link))
        except OSError:
            continue
    named = {path.name for path in Path("/run/netns").glob("*")}
    return (found - {own}) | named


def claims() -> set[str]:
    return {path.name for path in claims_folder().glob("*")}


def rules() -> set[str]:
    found = set()
    for argv in (["ip", "rule"], ["ip", "route"], ["tc", "qdisc"], ["nft", "list", "ruleset"], ["iptables-save"]):
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        found |= {f"{argv[0]}: {line.strip()}" for line in done.stdout.splitlines() if line.strip()}
    found.add(f"ip_forward={Path('/proc/sys/net/ipv4/ip_forward').read_text().strip()}")
    return found


KINDS: dict[str, Callable[[], set[str]]] = {
    "processes": processes,
    "devices": devices,
    "namespaces": namespaces,
    "claims": claims,
    "rules": rules,
}


def reap() -> None:
    """We are the first process of our namespace: orphans become ours."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def until(holds: Callable[[], bool], what: str) -> None:
    if not eventually(holds):
        raise SystemExit(f"never came: {what}")


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RINGFENCE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def start_behind(script: str) -> subprocess.Popen[str]:
    owner = start("network", "exec", "lte_good", "--backend", "userspace", "--", "sh", "-c", script)
    assert owner.stdout is not None
    if owner.stdout.readline() != "up\n":
        raise SystemExit("the command behind the link did not start")
    return owner


def end(owner: subprocess.Popen[str], number: signal.Signals | None = None) -> None:
    if number is not None:
        os.killpg(owner.pid, number) if number is signal.SIGINT else owner.send_signal(number)
    with contextlib.suppress(BrokenPipeError):
        for pipe in (owner.stdin, owner.stdout):
            if pipe is not None:
                pipe.close()
    owner.wait(HANG_LIMIT_S)


def daemons() -> list[int]:
    return [int(line.split()[0]) for line in processes() if "network_profiles.links.userspace" in line]


def ended_by_itself() -> None:
    end(start_behind("echo up"))


def owner_killed() -> None:
    end(start_behind(STRAY), signal.SIGKILL)


def daemon_killed() -> None:
    owner = start_behind(STRAY)
    (daemon,) = daemons()
    os.kill(daemon, signal.SIGKILL)
    end(owner, signal.SIGINT)


def interrupted_while_running() -> None:
    end(start_behind(STRAY), signal.SIGINT)


def interrupted_while_proving() -> None:
    owner = start("network", "verify", "lte_good", "gprs_2g", "--backend", "userspace")
    until(lambda: sum("probe.endpoint" in line for line in processes()) >= 4, "both probes")
    end(owner, signal.SIGINT)


def one_of_two_killed() -> None:
    first, second = (
        start_behind(STRAY),
        start_behind("echo up; read line; exec ping -n -q -c 1 $RINGFENCE_FAR_END >/dev/null"),
    )
    end(first, signal.SIGKILL)
    until(lambda: len(daemons()) == 1, "the end of the first link")
    print(f"  swept beside a living link: {'; '.join(sweep())}")
    end(second)
    if second.returncode != 0:
        raise SystemExit("the second link did not carry a ping after the first was killed and swept")


def left_since(before: dict[str, set[str]]) -> dict[str, set[str]]:
    reap()
    return {kind: read() - before[kind] for kind, read in KINDS.items()}


def main() -> int:
    if os.getpid() != 1:
        raise SystemExit("start it as the first process of namespaces of its own: unshare -nmp --fork --mount-proc ...")
    bring_loopback_up()
    for folder in ("/run/ringfence", "/run/netns"):
        Path(folder).mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "ours", folder], check=True)
    before = {kind: read() for kind, read in KINDS.items()}
    worst = 0
    for breaks in (
        ended_by_itself,
        owner_killed,
        daemon_killed,
        interrupted_while_running,
        interrupted_while_proving,
        one_of_two_killed,
    ):
        print(f"{breaks.__name__.replace('_', ' ')}:")
        breaks()
        swept = sweep()
        left = left_since(before)
        if any(left.values()):
            eventually(lambda: not any(left_since(before).values()), within_s=HANG_LIMIT_S / 10)
            left = left_since(before)
        worst |= any(left.values())
        print(f"  swept: {'; '.join(swept) or 'nothing to sweep'}")
        for kind, what in left.items():
            print(f"  {kind} left: {', '.join(sorted(what)) or 'none'}")
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())

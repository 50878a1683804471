"""Whether this kernel has what the netem backend is made of, found out by trying it where nothing can be disturbed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from bedrock.child_environment import child_environment

ATTEMPT_TIMEOUT_S = 20.0


_FILTER = "tc qdisc add dev lo ingress && tc filter add dev lo ingress matchall"


class Piece(NamedTuple):
    """One thing that the kernel must accept."""

    attempt: str
    """Shell words, run in a network namespace that exists for them alone."""
    option: str
    """The kernel's configuration option."""
    module: str


PIECES = (
    Piece("ip link add trial0 type veth peer name trial1", "CONFIG_VETH", "veth"),
    Piece(
        "tc qdisc add dev lo root netem delay 1ms loss gemodel 1% 50% rate 1mbit", "CONFIG_NET_SCH_NETEM", "sch_netem"
    ),
    Piece("tc qdisc add dev lo root handle 1: htb", "CONFIG_NET_SCH_HTB", "sch_htb"),
    Piece("tc qdisc add dev lo ingress", "CONFIG_NET_SCH_INGRESS", "sch_ingress"),
    Piece(
        f"{_FILTER} action mirred egress redirect dev lo",
        "CONFIG_NET_CLS_MATCHALL, CONFIG_NET_ACT_MIRRED",
        "cls_matchall act_mirred",
    ),
    Piece(f"{_FILTER} action drop", "CONFIG_NET_ACT_GACT", "act_gact"),
)
PLUG = Piece("tc qdisc add dev lo root plug limit 1500", "CONFIG_NET_SCH_PLUG", "sch_plug")
"""Without it a link works all the same, but it cannot follow a trace."""
Runner = Callable[[Sequence[str]], int]
"""Runs a command and returns its exit code."""


def run_quietly(argv: Sequence[str]) -> int:
    """Runs ``argv`` without its output; 127 when it cannot be run at all."""
    try:
        return subprocess.run(
            argv, capture_output=True, timeout=ATTEMPT_TIMEOUT_S, check=False, env=child_environment()
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return 127


def lacks_netem(run: Runner = run_quietly) -> list[str]:
    """Returns what the machine does not have of what the backend is made of, a sentence each with its fix."""
    missing = [
        f"'{program}' is not on this machine (apt-get install {package})"
        for program, package in (("tc", "iproute2"), ("ip", "iproute2"), ("unshare", "util-linux"))
        if shutil.which(program) is None
    ]
    return missing or list(_kernel_lacks(run))


@cache
def _kernel_lacks(run: Runner) -> tuple[str, ...]:
    """Asked once a process: a kernel keeps what it has, and each answer takes a namespace."""
    if run(["unshare", "--net", "true"]) != 0:
        return ("network namespaces may not be made here (run it with sudo)",)
    missing = [piece for piece in PIECES if run(["unshare", "--net", "sh", "-c", piece.attempt]) != 0]
    if not missing:
        return ()
    modules = " ".join(piece.module for piece in missing)
    options = ", ".join(piece.option for piece in missing)
    return (f"the kernel has no {modules.replace(' ', ', ')} (modprobe -a {modules}; built with {options})",)

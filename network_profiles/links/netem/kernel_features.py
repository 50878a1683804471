"""Finds out whether this kernel has what the netem backend needs: tries each feature in a namespace of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from bedrock.child_environment import child_environment

ATTEMPT_TIMEOUT_S = 20.0
_FILTER = "tc qdisc add dev lo ingress && tc filter add dev lo ingress matchall"


class KernelFeature(NamedTuple):
    """One feature that the kernel must have."""

    attempt: str
    """Shell command that uses the feature. It runs in a network namespace of its own."""
    option: str
    """Kernel configuration option that builds it."""
    module: str


KERNEL_FEATURES = (
    KernelFeature("ip link add trial0 type veth peer name trial1", "CONFIG_VETH", "veth"),
    KernelFeature(
        "tc qdisc add dev lo root netem delay 1ms loss gemodel 1% 50% rate 1mbit", "CONFIG_NET_SCH_NETEM", "sch_netem"
    ),
    KernelFeature("tc qdisc add dev lo root handle 1: htb", "CONFIG_NET_SCH_HTB", "sch_htb"),
    KernelFeature("tc qdisc add dev lo ingress", "CONFIG_NET_SCH_INGRESS", "sch_ingress"),
    KernelFeature(
        f"{_FILTER} action mirred egress redirect dev lo",
        "CONFIG_NET_CLS_MATCHALL, CONFIG_NET_ACT_MIRRED",
        "cls_matchall act_mirred",
    ),
    KernelFeature(f"{_FILTER} action drop", "CONFIG_NET_ACT_GACT", "act_gact"),
)
PLUG_FEATURE = KernelFeature("tc qdisc add dev lo root plug limit 1500", "CONFIG_NET_SCH_PLUG", "sch_plug")
"""Optional: a link without it works, but cannot follow a trace."""
Runner = Callable[[Sequence[str]], int]
"""Runs a command and returns its exit code."""


def run_quietly(argv: Sequence[str]) -> int:
    """Runs ``argv`` without showing its output and returns the exit code; 127 when it cannot be run."""
    try:
        return subprocess.run(
            argv, capture_output=True, timeout=ATTEMPT_TIMEOUT_S, check=False, env=child_environment()
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return 127


def missing_for_netem(run: Runner = run_quietly) -> list[str]:
    """Returns one sentence, with its fix, for each thing that the machine lacks for netem links; empty when none."""
    missing = [
        f"'{program}' is not on this machine (apt-get install {package})"
        for program, package in (("tc", "iproute2"), ("ip", "iproute2"), ("unshare", "util-linux"))
        if shutil.which(program) is None
    ]
    return missing or list(_missing_features(run))


@cache
def _missing_features(run: Runner) -> tuple[str, ...]:
    """Asks once per process: the answer does not change, and each question costs a namespace."""
    if run(["unshare", "--net", "true"]) != 0:
        return ("network namespaces may not be made here (run it with sudo)",)
    missing = [feature for feature in KERNEL_FEATURES if run(["unshare", "--net", "sh", "-c", feature.attempt]) != 0]
    if not missing:
        return ()
    modules = " ".join(feature.module for feature in missing)
    options = ", ".join(feature.option for feature in missing)
    return (f"the kernel has no {modules.replace(' ', ', ')} (modprobe -a {modules}; built with {options})",)

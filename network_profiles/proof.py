"""Measures an open link with real UDP through its namespace, both ways at once, and says whether it is its profile."""

from __future__ import annotations

import contextlib
import json
import select
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import EnvironmentLacks
from network_profiles.counters import DirectionCounters
from network_profiles.errors import LinkLost
from network_profiles.evidence import Evidence, Figure
from network_profiles.probe.judge import judge
from network_profiles.probe.plan import Plan, plan
from network_profiles.probe.trace import Packet, Trace
from network_profiles.profile import NetworkProfile
from network_profiles.shaped_link import ShapedLink

__all__ = ["Evidence", "Figure", "measure"]

READY_TIMEOUT_S = 20.0
REPORT_TIMEOUT_S = 15.0
_START_DELAY_S = 0.05
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent
_PROBE_END = [sys.executable, "-S", "-m", "network_profiles.probe.end"]


def measure(link: ShapedLink, profile: NetworkProfile, *, budget_s: float = 3.0) -> Evidence:
    """Probes ``link`` and holds it against ``profile``.

    Takes about ``budget_s``, longer where the profile's queue takes longer to drain; the queue is empty afterwards. A
    profile that changes with time is measured as it is between its changes, and begins anew when this returns. Nothing
    else should use the link meanwhile. Raises LinkLost when the link or an end of the probe dies.
    """
    plans = {"down": plan(profile.down, budget_s), "up": plan(profile.up, budget_s)}
    began_s = time.monotonic()
    at_s = time.time()
    if profile.changes_with_time:
        link.hold_timeline()
    before = link.counters()
    try:
        reports = _run(link, plans)
    except LinkLost:
        link.counters()  # says so when it is the daemon that died
        raise
    after = link.counters()
    if profile.changes_with_time:
        link.restart_timeline()
    figures = [
        *_judge("down", profile, plans["down"], reports["host"], reports["device"], before.down, after.down),
        *_judge("up", profile, plans["up"], reports["device"], reports["host"], before.up, after.up),
    ]
    return Evidence(profile.id, "userspace", at_s, time.monotonic() - began_s, tuple(figures))


def _run(link: ShapedLink, plans: dict[str, Plan]) -> dict[str, dict[str, Any]]:
    with contextlib.ExitStack() as stack:
        ends = {
            "host": _start_end(stack, link.host_address, []),
            "device": _start_end(stack, link.device_address, link.exec_prefix),
        }
        try:
            ports = {name: int(end.wait_ready(READY_TIMEOUT_S)["port"]) for name, end in ends.items()}
        except EnvironmentLacks as error:
            raise LinkLost(f"the probe of link {link.device} did not start: {error.message}") from None
        starts_at_s = time.monotonic() + _START_DELAY_S
        ends_at_s = starts_at_s + max(one.ends_at_s for one in plans.values())
        for name, peer, address, side in (
            ("host", "device", link.device_address, "down"),
            ("device", "host", link.host_address, "up"),
        ):
            order = {
                "peer": [address, ports[peer]],
                "starts_at_s": starts_at_s,
                "ends_at_s": ends_at_s,
                "sends": [(send.at_s, send.size_bytes) for send in plans[side].sends],
            }
            _tell(ends[name], order)
        return {name: _report(end, ends_at_s + REPORT_TIMEOUT_S) for name, end in ends.items()}


def _start_end(stack: contextlib.ExitStack, address: str, exec_prefix: list[str]) -> ChildProcess:
    argv = [*exec_prefix, *_PROBE_END, address]
    end = spawn(f"probe end {address}", argv, pipe_stdout=True, env={"PYTHONPATH": str(_PACKAGE_ROOT)})
    stack.callback(end.stop)
    return end


def _tell(end: ChildProcess, order: dict[str, Any]) -> None:
    stdin = end.popen.stdin
    try:
        if stdin is not None:
            stdin.write(json.dumps(order).encode() + b"\n")
            stdin.flush()
    except OSError:
        raise LinkLost(f"the {end.name} died before it began") from None


def _report(end: ChildProcess, deadline_s: float) -> dict[str, Any]:
    """Reads the one line that the end prints before it exits."""
    stdout = end.popen.stdout
    text = b""
    while stdout is not None and select.select([stdout], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
        chunk = stdout.read1(1 << 20) if hasattr(stdout, "read1") else b""
        if not chunk:
            break
        text += chunk
    try:
        report = json.loads(text)
    except ValueError:
        raise LinkLost(f"the {end.name} did not report") from None
    return dict(report)


def _judge(
    side: str,
    profile: NetworkProfile,
    sent_plan: Plan,
    sender: dict[str, Any],
    receiver: dict[str, Any],
    before: DirectionCounters,
    after: DirectionCounters,
) -> list[Figure]:
    arrivals: dict[int, float] = {}
    reordered = 0
    highest = -1
    for number, at_s in receiver["received"]:
        reordered += number <= highest
        highest = max(highest, number)
        arrivals.setdefault(number, at_s)
    packets = [
        Packet(send.size_bytes, sent_at_s, arrivals.get(number))
        for number, (send, sent_at_s) in enumerate(zip(sent_plan.sends, sender["sent"], strict=False))
    ]
    trace = Trace(packets[: sent_plan.paced], packets[sent_plan.paced :])
    if not trace.paced:
        raise LinkLost(f"the probe sent nothing {side}")
    during = replace(after, refused=after.refused - before.refused, overrun=after.overrun - before.overrun)
    return judge(side, profile.down if side == "down" else profile.up, trace, reordered, during)

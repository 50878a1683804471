"""Runs a probe over an open link: two endpoints, each sends by its plan and records what arrives."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import EnvironmentLacks
from network_profiles.errors import LinkLost
from network_profiles.links.shaped_link import ShapedLink
from network_profiles.model.plain_profile import Side
from network_profiles.verification.probe.probe_plan import ProbePlan
from network_profiles.verification.probe.trace import ProbePacket

READY_TIMEOUT_S = 20.0
REPORT_TIMEOUT_S = 60.0
START_DELAY_S = 0.05
"""Delay from now to the start of a probe's clock, so that both endpoints are ready by then."""
_PROMPT_AFTER_S = 0.2
"""Lateness before this time does not count: the endpoint may still be reading its plan."""
_POLL_S = 0.25
_ENDPOINT_ARGV = [sys.executable, "-S", "-m", "network_profiles.verification.probe.endpoint"]


class DirectionResult:
    """The fate of one direction's packets, in the order of sending."""

    def __init__(
        self, plan: ProbePlan, sent: list[float], received: list[tuple[int, float]], starts_at_s: float
    ) -> None:
        arrivals: dict[int, float] = {}
        self.reordered = 0
        highest = -1
        for number, at_s in received:
            self.reordered += number <= highest
            highest = max(highest, number)
            arrivals.setdefault(number, at_s)
        self.packets = [
            ProbePacket(send.size_bytes, sent_at_s, arrivals.get(number))
            for number, (send, sent_at_s) in enumerate(zip(plan.sends, sent, strict=False))
        ]
        late_s = [
            sent_at_s - starts_at_s - send.at_s
            for send, sent_at_s in zip(plan.sends, sent, strict=False)
            if send.at_s > _PROMPT_AFTER_S
        ]
        # A packet not sent by the end of the plan counts as late by all the time since.
        unsent_s = [plan.ends_at_s - send.at_s for send in plan.sends[len(sent) :]]
        self.late_ms = 1000.0 * max(0.0, *late_s, *unsent_s)
        """Highest lateness of a packet against the plan."""
        quiet_s = plan.ends_at_s - plan.sends[-1].at_s if plan.sends else 0.0
        self.settled_at_s = (sent[-1] if sent else starts_at_s) + quiet_s
        """When the last packet has arrived, also if it was sent late."""


class LinkProbe:
    """Two endpoints, ready to send. Call ``run`` once."""

    def __init__(self, link: ShapedLink, plans: Mapping[Side, ProbePlan], stack: contextlib.ExitStack) -> None:
        self._link = link
        self._plans = plans
        self._ends = {
            "host": _start_endpoint(stack, link.host_address, []),
            "device": _start_endpoint(stack, link.device_address, link.exec_prefix),
        }
        try:
            self._ports = {name: int(end.wait_ready(READY_TIMEOUT_S)["port"]) for name, end in self._ends.items()}
        except EnvironmentLacks as error:
            raise LinkLost(f"the probe of link {link.device} did not start: {error.message}") from None

    def run(self, starts_at_s: float) -> dict[Side, DirectionResult]:
        """Sends both plans, with times counted from the monotonic ``starts_at_s``. Raises LinkLost."""
        ends_at_s = starts_at_s + max(one.ends_at_s for one in self._plans.values())
        self._tell("host", "device", self._link.device_address, self._plans["down"], starts_at_s, ends_at_s)
        self._tell("device", "host", self._link.host_address, self._plans["up"], starts_at_s, ends_at_s)
        deadline_s = ends_at_s + REPORT_TIMEOUT_S
        reports = {name: _report(end, self._link, deadline_s) for name, end in self._ends.items()}
        host, device = reports["host"], reports["device"]
        results: dict[Side, DirectionResult] = {
            "down": DirectionResult(self._plans["down"], host["sent"], device["received"], starts_at_s),
            "up": DirectionResult(self._plans["up"], device["sent"], host["received"], starts_at_s),
        }
        # A late endpoint has filled the queue for longer than planned: wait until it is empty.
        time.sleep(max(0.0, *(one.settled_at_s - time.monotonic() for one in results.values())))
        return results

    def _tell(self, name: str, peer: str, address: str, plan: ProbePlan, starts_at_s: float, ends_at_s: float) -> None:
        command = {
            "peer": [address, self._ports[peer]],
            "starts_at_s": starts_at_s,
            "ends_at_s": ends_at_s,
            "sends": [(send.at_s, send.size_bytes) for send in plan.sends],
        }
        stdin = self._ends[name].popen.stdin
        try:
            if stdin is not None:
                stdin.write(json.dumps(command).encode() + b"\n")
                stdin.flush()
        except OSError:
            raise LinkLost(f"the {self._ends[name].name} died before it started to send") from None


@contextlib.contextmanager
def open_probe(link: ShapedLink, plans: Mapping[Side, ProbePlan]) -> Iterator[LinkProbe]:
    """Starts both endpoints, and stops them in any case. Raises LinkLost."""
    with contextlib.ExitStack() as stack:
        yield LinkProbe(link, plans, stack)


def exchange(link: ShapedLink, plans: Mapping[Side, ProbePlan]) -> dict[Side, DirectionResult]:
    """Runs a probe that starts at once. Raises LinkLost when the link or an endpoint dies."""
    with open_probe(link, plans) as probe:
        return probe.run(time.monotonic() + START_DELAY_S)


def _start_endpoint(stack: contextlib.ExitStack, address: str, exec_prefix: list[str]) -> ChildProcess:
    argv = [*exec_prefix, *_ENDPOINT_ARGV, address]
    end = spawn(f"probe endpoint {address}", argv, pipe_stdout=True)
    stack.callback(end.stop)
    return end


def _report(end: ChildProcess, link: ShapedLink, deadline_s: float) -> dict[str, Any]:
    """Reads the one line that the endpoint prints before it exits; stops early when the link dies."""
    stdout = end.popen.stdout
    text = b""
    while stdout is not None and link.is_alive() and time.monotonic() < deadline_s:
        if not select.select([stdout], [], [], _POLL_S)[0]:
            continue
        chunk = os.read(stdout.fileno(), 1 << 20)
        if not chunk:
            break
        text += chunk
    try:
        report = json.loads(text)
    except ValueError:
        raise LinkLost(f"the {end.name} did not report") from None
    return dict(report)

"""Measures the cost of links on this machine, and their delay error, for a growing number of links."""

from __future__ import annotations

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bedrock.child_environment import child_environment
from bedrock.quantile import quantile
from network_profiles.bench.traffic import read_report
from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.errors import LinkLost
from network_profiles.links.backends import choose_backend
from network_profiles.links.open_link import open_link
from network_profiles.links.shaped_link import ShapedLink
from network_profiles.model.link import LinkDirection
from network_profiles.model.profile import Direction, NetworkProfile

PROFILE_ID = "lte_good"
"""Measured without its jitter, so that the delay of every packet is known for any backend."""
SETTLE_S = 5.0
"""Time after the last send until a missing packet counts as lost."""
_REPORT_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class LinkBenchStep:
    """The figures of one number of links, each with a video call's packets in both directions."""

    links: int
    backend: str
    compiled: bool
    """Whether the links' processes run compiled code; read from their memory maps."""
    load_average: float
    """Of the last minute, at the step's end. Well above 1, other programs added to the delay error."""
    packets_per_s: float
    """Packets sent, over all links and both directions."""
    lost_packets: int
    """Packets that never arrived. The profile itself loses none."""
    core_ratio: float
    """CPU time of all links' processes (user and system, from the scheduler) per second; 1 is one core."""
    cpu_us_per_packet: float
    delay_error_p50_ms: float
    """Absolute error of one-way delays against the link model."""
    delay_error_p99_ms: float
    late_p99_ms: float | None
    """Lateness of packets in the worst link's own process; None with netem."""
    memory_mb_per_link: float
    """Proportional set size of a link's process."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the step as a JSON-ready table."""
        return asdict(self)


def growth(most: int) -> list[int]:
    """Returns 1, 2, 4 … ``most``."""
    counts = [1]
    while counts[-1] * 2 < most:
        counts.append(counts[-1] * 2)
    return counts if most == 1 else [*counts, most]


def bench(
    counts: Sequence[int],
    lasts_s: float,
    *,
    backend: str | None = None,
    on_step: Callable[[LinkBenchStep], None] = lambda _step: None,
) -> list[LinkBenchStep]:
    """Measures each number of links in ``counts``, in growing order, for ``lasts_s`` each.

    Raises LinkCannotBeBuilt, LinkLost.
    """
    profile = steady_profile()
    chosen = choose_backend(backend).name
    steps = []
    with contextlib.ExitStack() as stack:
        links: list[ShapedLink] = []
        for count in counts:
            while len(links) < count:
                link = open_link(profile, seed=len(links), name=f"bench-{len(links)}", backend=chosen)
                links.append(stack.enter_context(link))
            step = _measure(links, profile, lasts_s)
            on_step(step)
            steps.append(step)
    return steps


def steady_profile() -> NetworkProfile:
    """Returns the profile that is measured."""
    profile = load_catalogue()[PROFILE_ID]
    directions = {side: getattr(profile, side).model_copy(update={"jitter_ms": 0.0}) for side in ("down", "up")}
    return profile.model_copy(update=directions)


def _measure(links: Sequence[ShapedLink], profile: NetworkProfile, lasts_s: float) -> LinkBenchStep:
    for link in links:
        link.counters()  # resets the lateness
    before_s = _cpu_s(links)
    reports = _run_traffic(links, lasts_s)
    spent_s = _cpu_s(links) - before_s
    counters = [link.counters() for link in links]
    sides = [side for one in counters for side in (one.down, one.up)]
    late_ms = [side.late_p99_ms for side in sides if side.late_p99_ms is not None]
    errors_ms: list[float] = []
    sent = lost = 0
    for number, direction_report in enumerate(reports):
        direction = profile.up if number % 2 else profile.down
        arrivals = dict(map(tuple, direction_report["received"]))
        sent += len(direction_report["sent"])
        lost += len(direction_report["sent"]) - len(arrivals)
        errors_ms += _errors_ms(direction, direction_report["sent"], arrivals)
    if not errors_ms:
        raise LinkLost("no packet arrived over any of the measured links")
    return LinkBenchStep(
        links=len(links),
        backend=links[0].backend,
        compiled=all(_runs_compiled(link.pid) for link in links),
        load_average=os.getloadavg()[0],
        packets_per_s=sent / lasts_s,
        lost_packets=lost,
        core_ratio=spent_s / lasts_s,
        cpu_us_per_packet=1e6 * spent_s / sent,
        delay_error_p50_ms=statistics.median(errors_ms),
        delay_error_p99_ms=quantile(errors_ms, 0.99) or 0.0,
        late_p99_ms=max(late_ms, default=None),
        memory_mb_per_link=statistics.fmean(_proportional_mb(link.pid) for link in links),
    )


def _run_traffic(links: Sequence[ShapedLink], lasts_s: float) -> list[dict[str, Any]]:
    command = {
        "links": [(link.pid, link.host_address, link.device_address) for link in links],
        "lasts_s": lasts_s,
        "settle_s": SETTLE_S,
    }
    argv = ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-S", "-m", "network_profiles.bench.traffic"]
    try:
        done = subprocess.run(
            argv,
            input=json.dumps(command).encode() + b"\n",
            capture_output=True,
            check=True,
            env=child_environment(),
            timeout=lasts_s + _REPORT_TIMEOUT_S,
        )
    except subprocess.SubprocessError as error:
        raise LinkLost(f"the traffic generator of {len(links)} links failed: {error}") from None
    return read_report(done.stdout)


def _errors_ms(direction: Direction, sent: list[list[float]], arrivals: dict[int, float]) -> Iterator[float]:
    """Yields each arrival's absolute error against the link model, for the same packets."""
    model = LinkDirection(direction, random.Random(0))
    for number, (at_s, size) in enumerate(sent):
        expected_s = model.offer(at_s, int(size)).at_s
        if expected_s is not None and number in arrivals:
            yield 1000.0 * abs(arrivals[number] - expected_s)


def _cpu_s(links: Sequence[ShapedLink]) -> float:
    """Returns the CPU seconds of the links' processes so far, system time included (from ``schedstat``, in ns)."""
    return sum(int(Path(f"/proc/{link.pid}/schedstat").read_text(encoding="utf-8").split()[0]) for link in links) / 1e9


def _runs_compiled(pid: int) -> bool:
    return "/network_profiles.model.link." in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


def _proportional_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000.0
    return 0.0

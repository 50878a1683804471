"""What a link costs this machine, and how true it stays, as links grow from one to many."""

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
from network_profiles.bench.traffic import read_report
from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.errors import LinkLost
from network_profiles.links.backends import choose_backend
from network_profiles.links.open_link import open_link
from network_profiles.links.shaped_link import ShapedLink
from network_profiles.model.link import LinkDirection
from network_profiles.model.profile import Direction, NetworkProfile

PROFILE_ID = "lte_good"
"""Without its jitter: the delay of every packet is then known, whatever the backend draws."""
SETTLE_S = 5.0
"""How long a packet may be on its way after the last was sent, before it counts as lost."""
_REPORT_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class LinkBenchStep:
    """So many links, each with a video call's packets both ways."""

    links: int
    backend: str
    compiled: bool
    """Whether the links' own processes run compiled code, as their memory maps say."""
    load_average: float
    """Of the machine's last minute, at the step's end: well above 1, others had a part in the delay error."""
    packets_per_s: float
    """Sent, all links and both directions together."""
    lost_packets: int
    """Never came out; the links lose none by themselves."""
    core_ratio: float
    """CPU time of all the links' own processes (user and system, from the scheduler) per second: 1 is one core."""
    cpu_us_per_packet: float
    delay_error_p50_ms: float
    """How far one-way delays are from the link model's, either way."""
    delay_error_p99_ms: float
    late_p99_ms: float | None
    """The worst link's own figure: how late it let packets go; None where the kernel carries them."""
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
    """Measures each number of links, in growing order, for ``lasts_s``. Raises LinkCannotBeBuilt, LinkLost."""
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
        link.counters()  # lateness counts from here
    before_s = _cpu_s(links)
    ways = _run_traffic(links, lasts_s)
    spent_s = _cpu_s(links) - before_s
    counters = [link.counters() for link in links]
    sides = [side for one in counters for side in (one.down, one.up)]
    late_ms = [side.late_p99_ms for side in sides if side.late_p99_ms is not None]
    errors_ms: list[float] = []
    sent = lost = 0
    for number, way in enumerate(ways):
        direction = profile.up if number % 2 else profile.down
        arrivals = dict(map(tuple, way["received"]))
        sent += len(way["sent"])
        lost += len(way["sent"]) - len(arrivals)
        errors_ms += _errors_ms(direction, way["sent"], arrivals)
    if not errors_ms:
        raise LinkLost("no packet came over any of the links that were measured")
    errors_ms.sort()
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
        delay_error_p99_ms=errors_ms[int(0.99 * (len(errors_ms) - 1))],
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
        raise LinkLost(f"the traffic of {len(links)} links did not come back: {error}") from None
    return read_report(done.stdout)


def _errors_ms(direction: Direction, sent: list[list[float]], arrivals: dict[int, float]) -> Iterator[float]:
    """How far each arrival is from what the link model says of the same sends."""
    model = LinkDirection(direction, random.Random(0))
    for number, (at_s, size) in enumerate(sent):
        expected_s = model.offer(at_s, int(size)).at_s
        if expected_s is not None and number in arrivals:
            yield 1000.0 * abs(arrivals[number] - expected_s)


def _cpu_s(links: Sequence[ShapedLink]) -> float:
    """CPU seconds of the links' processes so far, to the nanosecond, system time included (Linux ``schedstat``)."""
    return sum(int(Path(f"/proc/{link.pid}/schedstat").read_text(encoding="utf-8").split()[0]) for link in links) / 1e9


def _runs_compiled(pid: int) -> bool:
    return "/network_profiles.model.link." in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


def _proportional_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000.0
    return 0.0

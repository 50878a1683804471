"""Tests of the netem backend that ``links/netem/test_netem_kernel.py`` runs inside the user-mode kernel.

The file's name keeps pytest from collecting it where the kernel has no netem.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from changing_profile import FIGURES, figure_names, prove_changing
from real_links import quickest_round_trip_ms
from waiting import HANG_LIMIT_S, eventually

from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links.backends import choose_backend
from network_profiles.links.open_link import open_link
from network_profiles.model.plain_profile import SIDES, plain_profile
from network_profiles.model.profile import Direction, ProfilePhase, Trace
from network_profiles.verification.probe.exchange import open_probe
from network_profiles.verification.probe.timeline_probe import judge_timeline, timeline_plan

LOOKING_S = HANG_LIMIT_S / 3
FLOODED_PACKETS = 2000
STEADY = load_catalogue()["lte_good"].model_copy(
    update={
        "down": Direction(rate_kbit=1000.0, owd_ms=60.0, queue_ms=500.0),
        "up": Direction(rate_kbit=500.0, owd_ms=40.0, queue_ms=500.0),
    }
)


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    assert [path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith("rf")] == []
    daemons = "network_profiles.links.netem.netem_daemon|tc -s -j"
    assert subprocess.run(["pgrep", "-f", daemons], check=False).returncode == 1


def test_netem_is_what_this_kernel_gives_unless_told_otherwise() -> None:
    assert choose_backend().name == "netem"
    assert choose_backend("userspace").name == "userspace"


def test_a_link_that_changes_is_what_the_model_says() -> None:
    """Goodput within 3 %, delay 1 ms or 2 %, loss in its 99 % interval, queue 10 %, outages 50 ms, order kept."""
    evidence = prove_changing("netem")
    assert evidence.backend == "netem"
    assert evidence.misses == []
    assert figure_names(evidence) >= FIGURES


def test_a_trace_is_followed_and_its_gap_kept_as_the_model_says() -> None:
    """Goodput within 3 %, its course too, delay 2 %, both edges of the gap 50 ms, order kept."""
    observations: list[list[str]] = []

    def one_misses_nothing() -> bool:
        observations.append(_misses_of_a_trace())
        return not observations[-1]

    # A machine that stops for a moment spoils a look at 10 figures; a link that is wrong is so at every look.
    assert eventually(one_misses_nothing, LOOKING_S), observations


def _misses_of_a_trace() -> list[str]:
    """Of a link that is saturated for 3.2 s, with a gap of 0.9 s in the middle."""
    seed = 5
    trace = load_catalogue()["umts_driving"].down.trace
    assert trace is not None
    assert trace.process is not None
    often = {"gap_every_s": 2.0, "gap_median_s": 1.0, "gap_spread": 0.3, "gap_longest_s": 2.0}
    trace = Trace(process=trace.process.model_copy(update=often))
    drive = Direction(rate_kbit=1500.0, owd_ms=40.0, queue_ms=400.0, trace=trace)
    profile = STEADY.model_copy(update={"down": drive, "up": drive})
    plain = plain_profile(profile)
    watched = {side: timeline_plan(plain, side, seed, 3.2) for side in SIDES}
    plans = {side: replace(one.plan, ends_at_s=4.5) for side, one in watched.items()}
    with open_link(profile, seed=seed, name="trace", backend="netem") as link, open_probe(link, plans) as probe:
        started_at_s = link.restart_timeline()
        seen = probe.run(started_at_s)
        drops = link.counters().down.drops
    figures = [
        figure
        for side in SIDES
        for figure in judge_timeline(side, plain, seed, watched[side], seen[side].packets, started_at_s)
    ]
    assert sum("gap" in figure.name for figure in figures) == 4
    assert [one.reordered for one in seen.values()] == [0, 0]
    # What does not fit the queue is dropped at its tail, whether the queue is held or not, and nothing in the gap.
    assert drops["queue"] > 0
    assert drops["outage"] == drops["loss"] == 0
    return [str(figure) for figure in figures if not figure.ok]


def test_what_is_dropped_is_counted_by_its_cause() -> None:
    lossy = Direction(rate_kbit=100_000.0, owd_ms=5.0, loss_ratio=0.5, loss_burst_packets=2.0, queue_ms=200.0)
    shallow = Direction(rate_kbit=50.0, owd_ms=5.0, queue_ms=250.0)
    profile = STEADY.model_copy(update={"down": lossy, "up": shallow})
    lift = profile.model_copy(update={"phases": (ProfilePhase(lasts_s=3600.0, outage=True),)})
    with open_link(lift, seed=1, name="causes", backend="netem") as link:
        _flood([], link.device_address, 7)
        before = link.counters()
        link.set_profile(profile)
        _flood([], link.device_address, FLOODED_PACKETS)
        _flood(link.exec_prefix, link.host_address, 40)
        after = link.counters()
    assert before.down.drops == {"loss": 0, "queue": 0, "outage": 7}
    assert before.down.delivered_packets == before.down.delivered_bytes == 0
    assert after.down.drops["outage"] == 7
    # Half of them, and of a few answers of ICMP. In bursts of two, a standard deviation is 39 packets: five of them.
    assert after.down.drops["loss"] == pytest.approx(FLOODED_PACKETS / 2, abs=200)
    assert after.down.drops["queue"] == after.up.drops["outage"] == after.up.drops["loss"] == 0
    assert after.up.drops["queue"] >= 20  # 250 ms at 50 kbit/s hold a dozen of these packets
    for direction in (after.down, after.up):
        assert direction.packets == direction.delivered_packets + sum(direction.drops.values())
        assert (direction.refused, direction.overrun) == (0, 0)


def _flood(exec_prefix: list[str], address: str, packets: int) -> None:
    """Sends that many packets of 128 bytes to a port where nobody answers, at once."""
    script = (
        "import socket, sys\nudp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for _ in range(int(sys.argv[2])): udp.sendto(bytes(100), (sys.argv[1], 9))"
    )
    subprocess.run([*exec_prefix, "python3", "-S", "-c", script, address, str(packets)], check=True)


def test_whoever_switches_ipv6_on_is_shaped_all_the_same() -> None:
    switch_on = """
        for each in {0}; do echo 0 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done
        ip addr add {1}/64 dev {2} nodad"""
    with open_link(STEADY, seed=1, name="ipv6", backend="netem") as link:
        for prefix, scopes, address, device in (
            ([], link.device, "fd00::1", link.device),
            (link.exec_prefix, "all default link0", "fd00::2", "link0"),
        ):
            subprocess.run([*prefix, "sh", "-e", "-c", switch_on.format(scopes, address, device)], check=True)
        quickest_ms = quickest_round_trip_ms(link.exec_prefix, "fd00::1", until_ms=110.0)
    assert 100.0 <= quickest_ms <= 110.0


def test_tc_that_dies_takes_the_link_and_is_told_of() -> None:
    with open_link(STEADY, seed=1, name="tc", backend="netem") as link:
        tc = subprocess.run(["pgrep", "-P", str(link.pid)], capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(tc[0]), signal.SIGKILL)
        assert eventually(lambda: not Path(f"/sys/class/net/{link.device}").exists())
        assert eventually(lambda: not link.is_alive())


def test_many_links_at_once_have_each_their_own_wire() -> None:
    quickest: list[float] = []

    def use(owd_ms: float) -> None:
        up = Direction(owd_ms=owd_ms, queue_ms=500.0)
        with open_link(STEADY.model_copy(update={"up": up}), seed=1, name="many", backend="netem") as link:
            until_ms = 60.0 + 84 * 8 / 1000 + owd_ms + 3.0
            quickest_ms = quickest_round_trip_ms(link.exec_prefix, link.host_address, until_ms=until_ms)
            quickest.append(quickest_ms - owd_ms)

    threads = [threading.Thread(target=use, args=(40.0 * (step + 1),)) for step in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert quickest == pytest.approx([60.0 + 84 * 8 / 1000] * 2, abs=3.0)


def test_a_kernel_without_a_piece_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LinkCannotBeBuilt, match="root is needed"):
        choose_backend("netem")

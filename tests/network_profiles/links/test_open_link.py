from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_links import is_running, link_devices, needs_links, quickest_round_trip_ms, round_trips_ms
from waiting import HANG_LIMIT_S, eventually

from bedrock.project import PROJECT_ROOT
from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.errors import LinkCannotBeBuilt, LinkLost
from network_profiles.links import addresses
from network_profiles.links.addresses import claim_addresses, claims_folder
from network_profiles.links.open_link import ShapedLink, missing_prerequisites, open_link, sweep
from network_profiles.model.profile import Direction, NetworkProfile, ProfilePhase
from network_profiles.verification.probe.exchange import DirectionResult, open_probe
from network_profiles.verification.probe.probe_plan import PlannedSend, ProbePlan
from network_profiles.verification.probe.tolerances import EDGE_TOLERANCE_S

pytestmark = [needs_links, pytest.mark.integration]

STEADY = load_catalogue()["lte_good"].model_copy(
    update={
        "down": Direction(rate_kbit=1000.0, owd_ms=60.0, queue_ms=500.0),
        "up": Direction(rate_kbit=500.0, owd_ms=40.0, queue_ms=500.0),
    }
)
OWNER = """
    import pathlib, subprocess, sys, time
    from network_profiles import load_catalogue, open_link
    from network_profiles.links import addresses
    addresses.CLAIMS_FOLDERS = (pathlib.Path(sys.argv[1]),)
    with open_link(load_catalogue()["lte_good"], seed=1, name="doomed") as link:
        argv = [*link.exec_prefix, "sh", "-c", "echo in; exec sleep 600"]
        inside = subprocess.Popen(argv, stdout=subprocess.PIPE)
        inside.stdout.readline()
        print(link.pid, link.device, inside.pid, link.host_address, flush=True)
        time.sleep(600)
"""


@pytest.fixture
def own_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of claims that no other sweeper on this machine looks into."""
    monkeypatch.setattr(addresses, "CLAIMS_FOLDERS", (tmp_path,))
    return tmp_path


@contextlib.contextmanager
def owner_process(claims: Path) -> Iterator[tuple[subprocess.Popen[str], int, str, int, str]]:
    """A process that holds a link with a program behind it."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER), str(claims)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        daemon, device, inside, host_address = owner.stdout.readline().split()
        try:
            yield owner, int(daemon), device, int(inside), host_address
        finally:
            owner.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(inside), signal.SIGKILL)


def test_a_round_trip_takes_what_the_profile_says() -> None:
    wanted_ms = 100 + 84 * 8 / 1000 + 84 * 8 / 500
    with open_link(STEADY, seed=1, name="test") as link:
        quickest_ms = quickest_round_trip_ms(link.exec_prefix, link.host_address, until_ms=wanted_ms + 1.5)
    assert quickest_ms == pytest.approx(wanted_ms, abs=1.5)


def test_the_host_reaches_the_device_too_and_both_directions_are_counted() -> None:
    with open_link(STEADY, seed=1, name="test") as link:
        assert len(round_trips_ms([], link.device_address, 3)) == 3
        counted = link.counters()
    for direction in (counted.down, counted.up):
        assert (direction.packets, direction.bytes, direction.delivered_packets) == (3, 252, 3)
        assert (direction.refused, direction.overrun) == (0, 0)
        if direction.late_max_ms is not None and direction.late_p99_ms is not None:  # not where the kernel carries them
            assert direction.late_max_ms >= direction.late_p99_ms > 0


def test_packets_of_the_full_size_pass_whole_and_offloads_are_off() -> None:
    with open_link(STEADY, seed=1, name="test") as link:
        argv = [*link.exec_prefix, "ping", "-n", "-c", "1", "-M", "do", "-s", "1472", link.host_address]
        assert subprocess.run(argv, capture_output=True, check=False).returncode == 0
        assert link.counters().up.bytes == 1500


def test_nothing_goes_round_the_link() -> None:
    with open_link(STEADY, seed=1, name="test") as link:
        script = "cat /proc/net/if_inet6 | wc -l; awk 'NR>2 {print $1}' /proc/net/dev | sort; ip route | head -1"
        argv = [*link.exec_prefix, "sh", "-c", script]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\n")
        assert lines[:3] == ["0", "link0:", "lo:"]
        assert lines[3].startswith(f"default via {link.host_address} dev link0")
        loopback = [*link.exec_prefix, "ping", "-c", "1", "-W", "2", "127.0.0.1"]
        assert subprocess.run(loopback, capture_output=True, check=False).returncode == 0
        assert Path(f"/proc/sys/net/ipv6/conf/{link.device}/disable_ipv6").read_text().strip() == "1"


def test_a_profile_can_be_changed_while_the_link_is_open() -> None:
    slower = STEADY.model_copy(update={"up": Direction(owd_ms=240.0, queue_ms=500.0)})
    with open_link(STEADY, seed=1, name="test") as link:
        link.set_profile(slower)
        wanted_ms = 300 + 84 * 8 / 1000
        quickest_ms = quickest_round_trip_ms(link.exec_prefix, link.host_address, until_ms=wanted_ms + 1.5)
    assert quickest_ms == pytest.approx(wanted_ms, abs=1.5)


OUTAGE_S = (0.4, 1.0)


def outage_soon(lasts_s: float = OUTAGE_S[1] - OUTAGE_S[0]) -> NetworkProfile:
    phases = (
        ProfilePhase(lasts_s=OUTAGE_S[0]),
        ProfilePhase(lasts_s=lasts_s, outage=True),
        ProfilePhase(lasts_s=3600.0),
    )
    return STEADY.model_copy(update={"phases": phases})


def test_an_outage_comes_and_goes_by_the_clock() -> None:
    """Whatever the machine does, a packet that was sent well inside is lost, and one well outside comes through."""
    sends = tuple(PlannedSend(0.2 + 0.01 * step, 44) for step in range(120))
    plans = dict.fromkeys(("down", "up"), ProbePlan(sends, len(sends), 3.0))
    wrong: list[str] = []

    def a_look_in_time_is_right() -> bool:
        with open_link(outage_soon(), seed=1, name="test") as link, open_probe(link, plans) as probe:
            started_at_s = link.restart_timeline()
            seen = probe.run(started_at_s)
        wrong[:] = [f"{side} {each}" for side in ("down", "up") for each in wrong_fates(seen[side], started_at_s)]
        return not wrong

    assert eventually(a_look_in_time_is_right), wrong


def wrong_fates(seen: DirectionResult, started_at_s: float) -> list[str]:
    """Packets that should not have met their fate, and fates that no packet was sent early or late enough to show."""
    begins_s, ends_s = OUTAGE_S
    shown = {"before": 0, "inside": 0, "after": 0}
    wrong = []
    # Between its stamp and the next one's, the packet was sent.
    for packet, following in itertools.pairwise(seen.packets):
        first_s, last_s = packet.sent_at_s - started_at_s, following.sent_at_s - started_at_s
        if last_s < begins_s - EDGE_TOLERANCE_S:
            when, comes = "before", True
        elif begins_s + EDGE_TOLERANCE_S < first_s and last_s < ends_s - EDGE_TOLERANCE_S:
            when, comes = "inside", False
        elif first_s > ends_s + EDGE_TOLERANCE_S:
            when, comes = "after", True
        else:
            continue
        shown[when] += 1
        if comes != (packet.received_at_s is not None):
            wrong.append(f"a packet sent {when} the outage, at {first_s:.3f} s, {'was lost' if comes else 'came'}")
    return wrong + [f"{count} packets {when} the outage" for when, count in shown.items() if count < 5]


def test_a_held_timeline_has_no_outage() -> None:
    with open_link(outage_soon(lasts_s=3600.0), seed=1, name="test") as link:
        link.hold_timeline()
        beyond_s = time.monotonic() + OUTAGE_S[1]
        while time.monotonic() < beyond_s:
            assert len(round_trips_ms(link.exec_prefix, link.host_address, 2)) == 2


def test_two_links_at_once_do_not_meet() -> None:
    slower = STEADY.model_copy(update={"up": Direction(owd_ms=140.0, queue_ms=500.0)})
    with open_link(STEADY, seed=1, name="one") as one, open_link(slower, seed=1, name="two") as two:
        assert len({one.host_address, two.host_address, one.device_address, two.device_address}) == 4
        assert len({one.namespace, two.namespace}) == 2
        quickest = [
            quickest_round_trip_ms(link.exec_prefix, link.host_address, until_ms=until_ms)
            for link, until_ms in ((one, 102.0 + 1.5), (two, 202.0 + 1.5))
        ]
    assert quickest[1] - quickest[0] == pytest.approx(100, abs=3)


def test_a_closed_link_leaves_no_device_no_process_no_namespace_and_no_claim() -> None:
    with open_link(STEADY, seed=1, name="test") as link:
        inside = subprocess.Popen([*link.exec_prefix, "sleep", "600"])
        assert eventually(lambda: os.stat(f"/proc/{inside.pid}/ns/net").st_ino == link.namespace)
        device, claim = link.device, claims_folder() / f"link-{link.device.removeprefix('rf')}.json"
        assert device in link_devices()
        assert claim.exists()
    assert inside.wait(HANG_LIMIT_S) == -signal.SIGKILL
    assert not is_running(link.pid)
    assert device not in link_devices()
    assert not claim.exists()
    link.close()
    with pytest.raises(LinkLost, match="is closed"):
        link.counters()


def test_an_error_inside_closes_the_link_too() -> None:
    def fail(link: ShapedLink) -> None:
        raise RuntimeError(link.device)

    with pytest.raises(RuntimeError) as caught, open_link(STEADY, seed=1, name="test") as link:
        fail(link)
    assert str(caught.value) not in link_devices()


def test_a_killed_daemon_takes_everything_and_is_told_of() -> None:
    with open_link(STEADY, seed=1, name="test") as link:
        os.kill(link.pid, signal.SIGKILL)
        assert eventually(lambda: link.device not in link_devices())
        assert eventually(lambda: not link.is_alive())
        with pytest.raises(LinkLost, match="was killed by signal 9"):
            link.counters()


def test_a_killed_daemon_leaves_nobody_behind_the_link_once_closed() -> None:
    with open_link(STEADY, seed=1, name="test") as link:
        inside = subprocess.Popen([*link.exec_prefix, "sleep", "600"])
        assert eventually(lambda: os.stat(f"/proc/{inside.pid}/ns/net").st_ino == link.namespace)
        os.kill(link.pid, signal.SIGKILL)
        assert eventually(lambda: not link.is_alive())
    assert inside.wait(HANG_LIMIT_S) == -signal.SIGKILL


def test_a_killed_owner_takes_daemon_and_device_and_the_sweeper_the_rest(own_claims: Path) -> None:
    with owner_process(own_claims) as (owner, daemon, device, inside, host_address):
        assert device in link_devices()
        owner.kill()
        owner.wait()
        assert eventually(lambda: not is_running(daemon))
        assert eventually(lambda: device not in link_devices())
        assert is_running(inside)
        removed = sweep()
        assert f"process {inside} behind link 'doomed'" in removed
        assert f"claim on {host_address}" in removed
        assert eventually(lambda: not is_running(inside))
    assert not [line for line in sweep() if str(inside) in line]


def test_the_sweeper_leaves_the_living_alone(own_claims: Path) -> None:
    with owner_process(own_claims) as (owner, daemon, device, inside, host_address):
        removed = sweep()
        assert not [line for line in removed if host_address in line or str(inside) in line]
        assert is_running(daemon)
        assert is_running(inside)
        assert owner.poll() is None
        assert device in link_devices()


@pytest.mark.usefixtures("own_claims")
def test_the_sweeper_kills_nobody_outside_a_dead_links_namespace() -> None:
    claim = claim_addresses()
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        own_namespace = os.stat("/proc/self/ns/net").st_ino
        claim.note({"owner": 1, "name": "stale", "daemon": 1, "namespace": own_namespace})
        os.close(claim.descriptor)
        assert f"claim on {claim.host_address}" in sweep()
        assert is_running(bystander.pid)
    finally:
        bystander.kill()
        bystander.wait()


def test_an_interrupted_owner_closes_its_link(own_claims: Path) -> None:
    with owner_process(own_claims) as (owner, daemon, device, inside, _):
        owner.send_signal(signal.SIGINT)
        owner.wait(HANG_LIMIT_S)
        assert not is_running(daemon)
        assert device not in link_devices()
        assert not is_running(inside)


def test_a_link_opened_in_a_thread_lives_as_long_as_the_thread_holds_it() -> None:
    quickest: list[float] = []

    def use() -> None:
        with open_link(STEADY, seed=1, name="thread") as link:
            quickest.append(quickest_round_trip_ms(link.exec_prefix, link.host_address, until_ms=102.0 + 3))

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert quickest == pytest.approx([102.0] * 3, abs=3)


def test_a_device_name_that_somebody_else_uses_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    first = os.getpid() % 1000 + 15_000
    monkeypatch.setattr(addresses, "_next_index", itertools.count(first))
    subprocess.run(["ip", "tuntap", "add", "dev", f"rf{first}", "mode", "tun"], check=True)
    try:
        with open_link(STEADY, seed=1, name="test") as link:
            assert link.device == f"rf{first + 1}"
            assert len(round_trips_ms(link.exec_prefix, link.host_address, 1)) == 1
    finally:
        subprocess.run(["ip", "link", "del", f"rf{first}"], check=True)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda _program: None)
    assert [line.split(" ")[0] for line in missing_prerequisites()] == ["root", "'nsenter'", "'setpriv'"]
    with pytest.raises(LinkCannotBeBuilt, match="root is needed"), open_link(STEADY, seed=1, name="test"):
        pass


def test_a_daemon_imports_nothing_heavy_and_stays_small() -> None:
    script = "import network_profiles.links.userspace.tun_forwarder, sys; print(*sys.modules)"
    env = {"PYTHONPATH": str(PROJECT_ROOT)}
    argv = [sys.executable, "-S", "-c", script]
    modules = subprocess.run(argv, capture_output=True, text=True, check=True, env=env).stdout.split()
    assert {
        name for name in modules if name.startswith(("pydantic", "numpy", "asyncio", "dataclasses", "psutil"))
    } == set()
    with open_link(STEADY, seed=1, name="test", backend="userspace") as link:
        resident_kb = next(
            int(line.split()[1])
            for line in Path(f"/proc/{link.pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
    assert resident_kb < 20_000

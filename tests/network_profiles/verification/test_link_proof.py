from __future__ import annotations

import os
import signal
import threading

import pytest
from real_links import needs_links, round_trips_ms
from waiting import eventually

from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.errors import LinkLost
from network_profiles.links.open_link import open_link
from network_profiles.verification.proof import measure
from network_profiles.verification.verify import VerifyListener, verify

pytestmark = [needs_links, pytest.mark.integration]


def test_links_of_every_kind_are_what_they_say() -> None:
    started: list[str] = []
    told: list[str] = []
    wanted = ["edge_275g", "lte_good"]
    listener = VerifyListener(lambda one, _lasts_s: started.append(one.id), lambda one: told.append(one.profile_id))
    evidence = verify(wanted, 2.0, listener=listener)
    assert [one.profile_id for one in evidence] == wanted
    assert {one.profile_id: one.misses for one in evidence if not one.ok} == {}
    assert sorted(told) == sorted(wanted)
    assert sorted(started) == sorted(wanted)


def test_a_link_of_another_profile_is_caught() -> None:
    catalogue = load_catalogue()
    with open_link(catalogue["hspa_35g"], seed=1, name="test") as link:
        evidence = measure(link, catalogue["umts_r99"], budget_s=2.0)
    assert not evidence.ok
    missed = {(figure.side, figure.name) for figure in evidence.figures if not figure.ok}
    assert {("down", "owd_ms"), ("down", "goodput_kbit"), ("up", "goodput_kbit")} <= missed


def test_an_unshaped_direction_is_caught() -> None:
    catalogue = load_catalogue()
    half = catalogue["hspa_35g"].model_copy(update={"up": catalogue["wifi_good"].up})
    missed: set[str] = set()

    def only_that_one_is_missed() -> bool:
        evidence = measure(link, catalogue["hspa_35g"], budget_s=2.0)
        missed.clear()
        missed.update(figure.side for figure in evidence.figures if not figure.ok)
        return missed == {"up"} or not evidence.machine_was_late

    with open_link(half, seed=1, name="test") as link:
        assert eventually(only_that_one_is_missed)
    assert missed == {"up"}


def test_the_queue_is_empty_after_the_proof() -> None:
    profile = load_catalogue()["edge_275g"]
    on_wire_ms = 84 * 8 / 240 + 84 * 8 / 200
    longest_ms = profile.rtt_ms + on_wire_ms + 4 * profile.down.jitter_ms + 5
    found: list[object] = []

    def the_next_packet_waits_for_none() -> bool:
        with open_link(profile, seed=1, name="test") as link:
            evidence = measure(link, profile, budget_s=2.0)
            (time_ms,) = round_trips_ms(link.exec_prefix, link.host_address, 1)
        assert evidence.ok or evidence.machine_was_late, evidence.misses
        found.append((evidence.misses, time_ms))
        return evidence.ok and time_ms <= longest_ms

    # What is left in a queue delays the first packet after it, every time; a machine that is late, now and then.
    assert eventually(the_next_packet_waits_for_none), found


def test_a_daemon_that_dies_during_the_proof_is_no_evidence() -> None:
    profile = load_catalogue()["lte_good"]
    with open_link(profile, seed=1, name="test") as link:
        killer = threading.Thread(
            target=lambda: (eventually(lambda: _probed(link.device)), os.kill(link.pid, signal.SIGKILL))
        )
        killer.start()
        with pytest.raises(LinkLost, match="was killed by signal 9"):
            measure(link, profile, budget_s=30.0)
        killer.join()


def _probed(device: str) -> bool:
    with open(f"/sys/class/net/{device}/statistics/tx_packets") as count:
        return int(count.read()) > 20

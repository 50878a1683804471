from __future__ import annotations

import itertools
import math
import random

import pytest

from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.links.counters import DirectionCounters
from network_profiles.model.link import LinkDirection
from network_profiles.model.profile import Direction
from network_profiles.verification.evidence import Evidence, Figure
from network_profiles.verification.probe.judge import judge
from network_profiles.verification.probe.loss_interval import central_interval, loss_counts
from network_profiles.verification.probe.probe_plan import short_plan
from network_profiles.verification.probe.trace import ProbePacket, ProbeTrace

QUIET = DirectionCounters(0, 0, 0, 0, {}, 0, 0, 0.1, 0.2)
STATIC = sorted(name for name, profile in load_catalogue().items() if not profile.changes_with_time)


def simulate(real: Direction, claimed: Direction, seed: int) -> ProbeTrace:
    """The probe of ``claimed``, over a link that is ``real``."""
    intended = short_plan(claimed, 3.0)
    link = LinkDirection(real, random.Random(f"test {seed}"))
    packets = [
        ProbePacket(one.size_bytes, one.at_s, link.offer(one.at_s, one.size_bytes).at_s) for one in intended.sends
    ]
    return ProbeTrace(packets[: intended.paced], packets[intended.paced :])


@pytest.mark.parametrize("profile_id", STATIC)
def test_a_right_link_is_found_right(profile_id: str) -> None:
    direction = load_catalogue()[profile_id].up
    missed = [
        str(figure)
        for seed in range(3)
        for figure in judge("up", direction, simulate(direction, direction, seed), 0, QUIET)
        if not figure.ok and figure.name != "loss_ratio"
    ]
    assert missed == []


@pytest.mark.parametrize(("real", "claimed"), [*itertools.pairwise([*STATIC, STATIC[0]])])
def test_another_profile_is_found_wrong(real: str, claimed: str) -> None:
    catalogue = load_catalogue()
    figures = judge("up", catalogue[claimed].up, simulate(catalogue[real].up, catalogue[claimed].up, 1), 0, QUIET)
    assert not all(figure.ok for figure in figures)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"rate_kbit": 12_000 * 1.05}, "goodput_kbit"),
        ({"rate_kbit": 12_000 * 0.95}, "goodput_kbit"),
        ({"owd_ms": 40.0}, "owd_ms"),
        ({"owd_ms": 30.0}, "owd_ms"),
        ({"queue_ms": 260.0}, "queue_ms"),
        ({"queue_ms": 150.0}, "queue_ms"),
        ({"loss_ratio": 0.02, "loss_burst_packets": 1.0}, "loss_ratio"),
    ],
)
def test_each_number_that_is_off_is_named(change: dict[str, float], name: str) -> None:
    claimed = load_catalogue()["lte_good"].up
    real = claimed.model_copy(update=change)
    missed = {figure.name for figure in judge("up", claimed, simulate(real, claimed, 1), 0, QUIET) if not figure.ok}
    assert name in missed


def test_a_link_that_carries_nothing_is_a_miss_with_a_sentence() -> None:
    claimed = load_catalogue()["lte_good"].up
    dead = claimed.model_copy(update={"loss_ratio": 1.0})
    figures = judge("up", claimed, simulate(dead, claimed, 1), 0, QUIET)
    assert {figure.name for figure in figures if figure.got is None} == {"owd_ms", "goodput_kbit", "queue_ms"}
    assert "too few packets" in str(next(figure for figure in figures if figure.got is None))


def test_a_late_daemon_a_drop_of_the_harness_and_a_changed_order_are_misses() -> None:
    direction = load_catalogue()["lte_good"].up
    daemon = DirectionCounters(0, 0, 0, 0, {}, 1, 2, 25.0, 40.0)
    figures = judge("up", direction, simulate(direction, direction, 1), 3, daemon)
    assert {figure.name: figure.got for figure in figures if not figure.ok} == {
        "harness_drops": 3,
        "reordered_packets": 3,
        "late_p99_ms": 25.0,
    }


@pytest.mark.parametrize("profile_id", sorted(load_catalogue()))
def test_the_probe_is_short_and_leaves_an_empty_queue(profile_id: str) -> None:
    profile = load_catalogue()[profile_id]
    for direction in (profile.down, profile.up):
        intended = short_plan(direction, 3.0)
        last = max(one.received_at_s or 0.0 for one in simulate(direction, direction, 1).flood)
        assert last <= intended.ends_at_s
        unavoidable_s = (direction.queue_ms + direction.owd_ms + 3 * direction.jitter_ms) / 1000.0
        assert intended.ends_at_s <= max(3.1, unavoidable_s + 1.4)
        assert all(one.at_s <= other.at_s for one, other in itertools.pairwise(intended.sends))


def test_a_link_without_a_rate_is_probed_without_a_flood() -> None:
    direction = Direction(owd_ms=10.0, queue_ms=100.0)
    assert len(short_plan(direction, 1.0).sends) == short_plan(direction, 1.0).paced
    figures = judge("up", direction, simulate(direction, direction, 1), 0, QUIET)
    assert {figure.name for figure in figures}.isdisjoint({"goodput_kbit", "queue_ms"})
    assert all(figure.ok for figure in figures)


@pytest.mark.parametrize(("packets", "loss", "burst"), [(40, 0.02, 2.0), (200, 0.05, 3.0), (300, 0.1, 1.0)])
def test_the_loss_interval_holds_what_the_chain_loses(packets: int, loss: float, burst: float) -> None:
    probabilities = loss_counts(packets, loss, burst)
    low, high = central_interval(probabilities, 0.99)
    assert sum(probabilities) == pytest.approx(1.0)
    assert sum(count * one for count, one in enumerate(probabilities)) == pytest.approx(packets * loss)
    shape = Direction(owd_ms=0.0, queue_ms=100.0, loss_ratio=loss, loss_burst_packets=burst)
    inside = 0
    for seed in range(1000):
        link = LinkDirection(shape, random.Random(seed))
        inside += low <= sum(link.offer(0.0, 100).at_s is None for _ in range(packets)) <= high
    assert inside >= 980


def test_independent_losses_agree_with_the_binomial() -> None:
    # A mean burst of 1 / (1 - L) is what independent losses have.
    probabilities = loss_counts(50, 0.1, 1 / 0.9)
    assert probabilities[5] == pytest.approx(math.comb(50, 5) * 0.1**5 * 0.9**45)


def test_no_loss_and_all_loss_are_certain() -> None:
    assert central_interval(loss_counts(100, 0.0, 1.0), 0.99) == (0, 0)
    assert central_interval(loss_counts(100, 1.0, 1.0), 0.99) == (100, 100)


def test_evidence_tells_its_misses_and_goes_into_json() -> None:
    good = Figure("down", "owd_ms", 35.0, 36.0, 33.0, 39.0, 100)
    bad = Figure("up", "goodput_kbit", 30.0, 41.0, 29.0, 31.0, 80)
    evidence = Evidence("gprs_2g", "userspace", 1.0, 3.0, (good, bad))
    assert not evidence.ok
    assert evidence.misses == ["up goodput_kbit 41, allowed 29 to 31 (80 packets)"]
    tables = evidence.to_dict()
    assert tables["up"]["goodput_kbit"] == {
        "wanted": 30.0, "got": 41.0, "low": 29.0, "high": 31.0, "samples": 80, "ok": False,
    }  # fmt: skip
    assert tables["down"]["owd_ms"]["ok"] is True

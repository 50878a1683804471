from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bedrock.errors import InputError
from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import backends
from network_profiles.links.backends import choose_backend
from network_profiles.links.netem import qdisc_layout
from network_profiles.links.netem.backend import NetemBackend
from network_profiles.links.netem.direction_schedule import DirectionSchedule
from network_profiles.links.netem.kernel_features import KERNEL_FEATURES, missing_for_netem
from network_profiles.links.netem.qdisc_layout import (
    build_commands,
    change_commands,
    fifo_commands,
    in_flight_packets,
    queue_sizes,
)
from network_profiles.links.netem.rate_lookahead import FULL_SIZE_BYTES, REFRESH_S, RateLookahead
from network_profiles.links.netem.tc_counters import direction_counters
from network_profiles.links.userspace.backend import UserspaceBackend
from network_profiles.model import jitter
from network_profiles.model.plain_profile import plain_profile
from network_profiles.model.profile import Direction, Trace
from network_profiles.model.shape import PlainShape
from network_profiles.model.timeline import Timeline
from network_profiles.model.traces.delivery_opportunities import VariableRateOpportunities

SLOW = PlainShape(50.0, 325.0, 50.0, 0.02, 2.0, 2000.0)


def test_a_direction_is_built_of_loss_then_queue_then_rate_then_delay() -> None:
    gate, *rest = build_commands("down", SLOW)
    assert gate == "actions add action pipe index 1"
    text = "\n".join(rest)
    loss, queue, rate, delay = (text.index(part) for part in ("gemodel", "htb default", "rate 50000bit\n", "delay 325"))
    assert loss < queue < rate < delay
    assert "netem limit 1000000 rate 100tbit loss gemodel 1.020408% 50%" in text
    assert "htb rate 50000bit ceil 50000bit" in text
    assert "delay 325.000000ms 50.000000ms distribution clipped_normal rate 10000000000bit" in text


def test_the_two_directions_share_no_queue() -> None:
    def egresses(side: Any) -> set[str]:
        return {line.split()[3] for line in build_commands(side, SLOW) if line.startswith("qdisc") and " root " in line}

    assert egresses("down") == {"mid0", "device0"}
    assert egresses("up") == {"mid1", "host0"}


@pytest.mark.parametrize("profile", load_catalogue().values(), ids=str)
def test_every_profile_has_its_queue_in_bytes_and_room_for_what_is_in_flight(profile: Any) -> None:
    plain = plain_profile(profile)
    for shape in (plain.down, plain.up):
        queue = queue_sizes(shape)
        depth_bytes = queue.rate_kbit * 125.0 * shape.queue_ms / 1000.0
        assert queue.fifo_bytes + queue.burst_bytes == pytest.approx(max(depth_bytes, 1500.0), rel=0.02)
        assert queue.fifo_bytes >= 1500
        in_flight_bytes = queue.rate_kbit * 125.0 * (shape.owd_ms + 2 * shape.jitter_ms) / 1000.0
        assert in_flight_packets(shape) >= in_flight_bytes / 40


def test_a_queue_of_less_than_a_packet_still_passes_packets() -> None:
    queue = queue_sizes(SLOW._replace(queue_ms=100.0))
    assert queue.fifo_bytes == 1500
    assert 0 < queue.burst_bytes < 100


def test_the_fifo_is_one_that_can_be_held_where_the_kernel_has_it() -> None:
    plug, release = fifo_commands("down", SLOW, "plug")
    assert plug.endswith(f"plug limit {queue_sizes(SLOW).fifo_bytes}")
    assert release.endswith("plug release_indefinite")
    (plain,) = fifo_commands("down", SLOW, "bfifo")
    assert plain == plug.replace("plug", "bfifo")


def test_a_change_names_only_what_differs() -> None:
    assert change_commands("up", SLOW, SLOW, fifo="plug") == []
    assert change_commands("up", SLOW, None, fifo="plug") == ["actions change action drop index 2"]
    (only,) = change_commands("up", SLOW, SLOW._replace(owd_ms=400.0), fifo="plug")
    assert only.startswith("qdisc change dev host0 parent 1:1 handle 10: netem")
    (only,) = change_commands("up", SLOW, SLOW._replace(loss_ratio=0.0), fifo="plug")
    assert only.endswith("loss random 0%")
    whole = change_commands("up", None, SLOW, fifo="bfifo")
    assert whole[-1] == "actions change action pipe index 2"
    assert len(whole) == 6
    assert "20: bfifo limit" in whole[2]
    faster = change_commands("up", SLOW, SLOW._replace(rate_kbit=100.0), fifo="plug")
    assert [line.split()[0] for line in faster] == ["class", "qdisc", "qdisc", "qdisc"]
    assert "20: plug limit" in faster[1]


def test_every_size_is_that_of_the_ip_packet() -> None:
    roots = [line for line in build_commands("down", SLOW) if " root " in line]
    assert len(roots) == 2
    assert all("stab overhead -14" in line for line in roots)


def test_a_link_without_a_rate_and_one_that_loses_everything() -> None:
    commands = "\n".join(build_commands("down", SLOW._replace(rate_kbit=None, loss_ratio=1.0, jitter_ms=0.0)))
    assert "loss random 100%" in commands
    assert "htb rate 10000000000bit" in commands
    assert "distribution" not in commands


def test_netem_draws_jitter_from_the_models_own_distribution() -> None:
    table = Path(qdisc_layout.__file__).with_name(f"{qdisc_layout.JITTER_TABLE}.dist")
    numbers = [int(word) for line in table.read_text().splitlines() if line[0] != "#" for word in line.split()]
    quantiles = [
        max(-jitter.CLIP_AT_SIGMAS, min(jitter.CLIP_AT_SIGMAS, statistics.NormalDist().inv_cdf((place + 0.5) / 1024)))
        for place in range(1024)
    ]
    assert numbers == [round(8192 * quantile) for quantile in quantiles]


def test_what_the_kernel_lacks_is_named_with_its_option_and_module() -> None:
    tried: list[str] = []

    def kernel_without_netem(argv: Sequence[str]) -> int:
        tried.append(argv[-1])
        return int("netem" in argv[-1])

    (sentence,) = missing_for_netem(kernel_without_netem)
    assert "sch_netem" in sentence
    assert "modprobe -a sch_netem" in sentence
    assert "CONFIG_NET_SCH_NETEM" in sentence
    assert "sch_htb" not in sentence
    assert len(tried) == len(KERNEL_FEATURES) + 1
    assert missing_for_netem(lambda _argv: 0) == []
    assert "sudo" in missing_for_netem(lambda _argv: 1)[0]


def test_the_backend_is_chosen_by_what_it_lacks_and_by_what_it_is_exact_for(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = load_catalogue()
    monkeypatch.setattr(UserspaceBackend, "missing_prerequisites", lambda _self: [])
    monkeypatch.setattr(NetemBackend, "missing_prerequisites", lambda _self: [])
    assert choose_backend().name == "netem"
    assert choose_backend(profile=catalogue["gprs_2g"]).name == "netem"
    file = Direction(owd_ms=50.0, queue_ms=500.0, trace=Trace(file="drive.down"))
    recorded = catalogue["umts_driving"].model_copy(update={"down": file})
    for profile in (catalogue["umts_driving"], recorded):
        assert choose_backend(profile=profile).name == "userspace"
        assert choose_backend("netem", profile).name == "netem"
    monkeypatch.setattr(NetemBackend, "missing_prerequisites", lambda _self: ["no netem"])
    assert choose_backend().name == "userspace"
    with pytest.raises(LinkCannotBeBuilt, match="no netem") as caught:
        choose_backend("netem")
    assert caught.value.exit_code == 5
    monkeypatch.setattr(UserspaceBackend, "missing_prerequisites", lambda _self: ["no TUN", "no root"])
    with pytest.raises(LinkCannotBeBuilt, match="a userspace link cannot be built here: no TUN; no root"):
        choose_backend()
    with pytest.raises(InputError, match="unknown backend 'netm'"):
        choose_backend("netm")
    assert set(backends.BACKEND_NAMES) == {"netem", "userspace"}


def test_drops_are_told_apart_by_cause() -> None:
    gate = [{"total acts": 0}, {"actions": [{"stats": {"packets": 100, "bytes": 9000, "drops": 10}}]}]
    lossy = [{"handle": "1:", "drops": 25, "bytes": 5000}, {"handle": "10:", "drops": 20}]
    lossy += [{"handle": "20:", "drops": 20, "backlog": 300}]
    behind = [{"handle": "1:", "drops": 1}, {"handle": "10:", "drops": 1}]
    counts = direction_counters([gate, lossy, behind])
    assert counts["drops"] == {"loss": 5, "queue": 20, "outage": 10}
    assert (counts["refused"], counts["delivered_packets"], counts["delivered_bytes"]) == (1, 64, 5300)
    assert counts["late_p99_ms"] is None


STEADY = SLOW._replace(rate_kbit=1000.0)
UNEVEN = [(0.1, SLOW._replace(rate_kbit=56.0)), (0.1, STEADY), (1.0, None), (10.0, STEADY)]
"""56 kbit/s, 1000, a gap, and 1000 again."""


def test_a_trace_is_set_by_how_long_a_full_size_packet_will_take() -> None:
    lookahead = RateLookahead(Timeline(iter(UNEVEN), 0.0))
    # 700 bytes in 0.1 s, and the other 700 at 1 Mbit/s in 5.6 ms.
    assert lookahead.setting_at(0.0) == pytest.approx((FULL_SIZE_BYTES * 8 / 1000 / 0.1056, REFRESH_S), rel=1e-5)
    # 560 of them in what is left of 0.1 s a little later, and 840 in 6.72 ms.
    assert lookahead.setting_at(0.02) == pytest.approx(
        (FULL_SIZE_BYTES * 8 / 1000 / 0.08672, 0.02 + REFRESH_S), rel=1e-5
    )
    assert lookahead.setting_at(0.1) == pytest.approx((1000.0, 0.2))
    # A packet that starts within the last moments before the gap is out by its start.
    assert lookahead.setting_at(0.195) == pytest.approx((FULL_SIZE_BYTES * 8 / 1000 / 0.005, 0.2))
    in_gap = lookahead.setting_at(0.2)
    assert in_gap.rate_kbit is None
    assert in_gap.until_s == pytest.approx(1.2)
    assert lookahead.setting_at(1.2) == pytest.approx((1000.0, 11.2))


def test_the_queue_is_held_in_a_traces_gap_and_only_there() -> None:
    schedule = DirectionSchedule("down", STEADY, "plug")
    opportunities = VariableRateOpportunities(iter(()), 0.0)
    ready = schedule.follow_timeline(Timeline(iter(UNEVEN), 0.0, opportunities=opportunities), STEADY)
    assert [line.split("handle")[1].split()[1] for line in ready] == ["plug", "netem"]
    assert ready[0].endswith(f"limit {1000 * 2000 // 8}")
    heard = {at_s: schedule.due_at(at_s).commands for at_s in (0.0, 0.1, 0.2, 0.7, 1.2)}
    assert [line.split()[0] for line in heard[0.0]] == ["class", "qdisc"]
    assert "htb rate 1000000bit ceil 1000000bit" in heard[0.1][0]
    assert heard[0.1][1].endswith("rate 1050000bit")
    assert heard[0.2] == ["qdisc change dev mid0 parent 10:1 handle 20: plug block"]
    assert heard[0.7] == []
    # The rate is still that of before the gap.
    assert heard[1.2] == ["qdisc change dev mid0 parent 10:1 handle 20: plug release_indefinite"]
    # The same trace from its start needs nothing but its first rate: its clock is not kept waiting.
    assert schedule.follow_timeline(Timeline(iter(UNEVEN), 5.0, opportunities=opportunities), STEADY) == []
    assert schedule.due_at(5.0).commands == heard[0.0]


def test_a_trace_left_in_a_gap_leaves_nothing_held_and_nothing_of_its_rates() -> None:
    schedule = DirectionSchedule("up", STEADY, "plug")
    schedule.follow_timeline(
        Timeline(iter([(5.0, None)]), 0.0, opportunities=VariableRateOpportunities(iter(()), 0.0)), STEADY
    )
    assert schedule.due_at(0.0).commands[-1].endswith("plug block")
    back = schedule.set_shape(STEADY)
    assert back[:-1] == change_commands("up", None, STEADY, fifo="plug")
    assert back[-1].endswith("plug release_indefinite")
    assert schedule.due_at(1.0) == ([], float("inf"))
    assert schedule.set_shape(STEADY) == []


def test_an_outage_of_phases_drops_and_is_no_hold() -> None:
    schedule = DirectionSchedule("up", STEADY, "bfifo")
    assert schedule.follow_timeline(Timeline(iter([(1.0, STEADY), (1.0, None), (9.0, SLOW)]), 0.0), STEADY) == []
    assert schedule.due_at(0.0) == ([], 1.0)
    assert schedule.due_at(1.0) == (["actions change action drop index 2"], 2.0)
    assert schedule.due_at(2.0) == (change_commands("up", None, SLOW, fifo="bfifo"), 11.0)

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bedrock.errors import InputError
from network_profiles import backends, jitter
from network_profiles.backends import choose_backend
from network_profiles.catalogue import load_catalogue
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.netem import arrangement
from network_profiles.netem.ahead import FULL_SIZE_BYTES, Ahead
from network_profiles.netem.arrangement import build_commands, change_commands, in_flight_packets, queue_of
from network_profiles.netem.backend import NetemBackend
from network_profiles.netem.counting import counted
from network_profiles.netem.kernel import PIECES, lacks_netem
from network_profiles.plain_profile import plain_profile
from network_profiles.shape import PlainShape
from network_profiles.timeline import Timeline
from network_profiles.userspace.backend import UserspaceBackend

SLOW = PlainShape(50.0, 325.0, 50.0, 0.02, 2.0, 2000.0)


def test_a_direction_is_built_of_loss_then_queue_then_rate_then_delay() -> None:
    gate, *rest = build_commands("down", SLOW)
    assert gate == "actions add action pipe index 1"
    text = "\n".join(rest)
    loss, queue, rate, delay = (text.index(part) for part in ("gemodel", "bfifo limit", "rate 50000bit\n", "delay 325"))
    assert loss < queue < rate < delay
    assert "netem limit 1000000 loss gemodel 1.020408% 50%" in text
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
        queue = queue_of(shape)
        depth_bytes = queue.rate_kbit * 125.0 * shape.queue_ms / 1000.0
        assert queue.fifo_bytes + queue.burst_bytes == pytest.approx(max(depth_bytes, 1500.0), rel=0.02)
        assert queue.fifo_bytes >= 1500
        in_flight_bytes = queue.rate_kbit * 125.0 * (shape.owd_ms + 2 * shape.jitter_ms) / 1000.0
        assert in_flight_packets(shape) >= in_flight_bytes / 40


def test_a_queue_of_less_than_a_packet_still_passes_packets() -> None:
    queue = queue_of(SLOW._replace(queue_ms=100.0))
    assert queue.fifo_bytes == 1500
    assert 0 < queue.burst_bytes < 100


def test_a_change_names_only_what_differs() -> None:
    assert change_commands("up", SLOW, SLOW) == []
    assert change_commands("up", SLOW, None) == ["actions change action drop index 2"]
    (only,) = change_commands("up", SLOW, SLOW._replace(owd_ms=400.0))
    assert only.startswith("qdisc change dev host0 parent 1:1 handle 10: netem")
    (only,) = change_commands("up", SLOW, SLOW._replace(loss_ratio=0.0))
    assert only.endswith("loss random 0%")
    assert change_commands("up", None, SLOW)[-1] == "actions change action pipe index 2"
    assert len(change_commands("up", None, SLOW)) == 6
    faster = change_commands("up", SLOW, SLOW._replace(rate_kbit=100.0))
    assert [line.split()[0] for line in faster] == ["class", "qdisc", "qdisc", "qdisc"]


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
    table = Path(arrangement.__file__).with_name(f"{arrangement.JITTER_TABLE}.dist")
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

    (sentence,) = lacks_netem(kernel_without_netem)
    assert "sch_netem" in sentence
    assert "modprobe -a sch_netem" in sentence
    assert "CONFIG_NET_SCH_NETEM" in sentence
    assert "sch_htb" not in sentence
    assert len(tried) == len(PIECES) + 1
    assert lacks_netem(lambda _argv: 0) == []
    assert "sudo" in lacks_netem(lambda _argv: 1)[0]


def test_the_backend_is_chosen_by_what_it_lacks_and_by_what_it_is_exact_for(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = load_catalogue()
    monkeypatch.setattr(UserspaceBackend, "lacks", lambda _self: [])
    monkeypatch.setattr(NetemBackend, "lacks", lambda _self: [])
    assert choose_backend().name == "netem"
    assert choose_backend(profile=catalogue["gprs_2g"]).name == "netem"
    assert choose_backend(profile=catalogue["umts_driving"]).name == "userspace"
    assert choose_backend("netem", catalogue["umts_driving"]).name == "netem"
    monkeypatch.setattr(NetemBackend, "lacks", lambda _self: ["no netem"])
    assert choose_backend().name == "userspace"
    with pytest.raises(LinkCannotBeBuilt, match="no netem") as caught:
        choose_backend("netem")
    assert caught.value.exit_code == 5
    monkeypatch.setattr(UserspaceBackend, "lacks", lambda _self: ["no TUN", "no root"])
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
    counts = counted([gate, lossy, behind])
    assert counts["drops"] == {"loss": 5, "queue": 20, "outage": 10}
    assert (counts["refused"], counts["delivered_packets"], counts["delivered_bytes"]) == (1, 64, 5300)
    assert counts["late_p99_ms"] is None


def test_a_trace_is_set_by_how_long_a_full_size_packet_will_take() -> None:
    steady = SLOW._replace(rate_kbit=1000.0)
    slow, gap = steady._replace(rate_kbit=56.0), None
    stretches = [(0.1, slow), (0.1, steady), (1.0, gap), (10.0, steady)]
    ahead = Ahead(Timeline(iter(stretches), 0.0), steady)
    first = ahead.setting(0.0)
    # 700 bytes in 0.1 s, and the other 700 at 1 Mbit/s in 5.6 ms.
    assert first.shape.rate_kbit == pytest.approx(FULL_SIZE_BYTES * 8 / 1000 / 0.1056)
    assert (first.held, first.until_s) == (False, pytest.approx(0.1))
    assert first.shape.rate_kbit is not None
    assert first.shape.queue_ms * first.shape.rate_kbit == pytest.approx(2000.0 * 1000.0)
    second = ahead.setting(0.1)
    assert second.shape.rate_kbit == pytest.approx(1000.0)
    third = ahead.setting(0.2)
    assert third.held
    assert third.shape.rate_kbit == pytest.approx(FULL_SIZE_BYTES * 8 / 1000 / 1.0112)
    assert not ahead.setting(1.2).held

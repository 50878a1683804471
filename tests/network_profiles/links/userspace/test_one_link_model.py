from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from calls.media.access_link import AccessLink
from network_profiles import NetworkProfile, load_catalogue
from network_profiles.catalogue.catalogue import PROFILES_FOLDER, read_profile
from network_profiles.links.userspace import tun_forwarder
from network_profiles.model.link import Delivery
from network_profiles.model.plain_profile import plain_profile
from network_profiles.model.traces.generate import RateProcess, generate
from network_profiles.model.traces.mahimahi import opportunity_times_ms

STARTED_AT_S = 1000.0
PACKETS = [
    (STARTED_AT_S + at_s, size)
    for at_s, size in zip(
        itertools.accumulate(random.Random(7).uniform(0.001, 0.04) for _ in range(4000)),
        random.Random(8).choices([80, 200, 1200], k=4000),
        strict=True,
    )
]


class Clock:
    """Stands for the engine's ticker: time is what the test says, and what is due is noted with its moment."""

    def __init__(self) -> None:
        self.now = STARTED_AT_S
        self.due: list[float] = []

    def now_s(self) -> float:
        return self.now

    def call_at(self, at_s: float, _call: Callable[[float], None]) -> None:
        self.due.append(at_s)


def recorded(folder: Path) -> NetworkProfile:
    """A profile whose downlink follows a file in mahimahi's format."""
    made = generate(RateProcess(0.8, 3.0, 2.0, 8.0, 1.2, 0.5, 4.0), 900.0, seed="1", side="down")
    (folder / "ride.down").write_text("".join(f"{at_ms}\n" for at_ms in opportunity_times_ms(made, 30.0)))
    text = (PROFILES_FOLDER / "hspa_lossy.toml").read_text().replace('id = "hspa_lossy"', 'id = "ride"')
    text = text.replace("rate_kbit = 900", 'trace = { file = "ride.down" }').replace(
        "[source]", '[source]\nchange = "x"'
    )
    (folder / "ride.toml").write_text(text)
    return read_profile(folder / "ride.toml")


@pytest.mark.parametrize("name", ["sat_leo", "handover_3g_2g", "lift", "gprs_moving", "umts_driving", "recorded"])
def test_the_engine_and_the_link_process_see_the_same_packets(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = recorded(tmp_path) if name == "recorded" else load_catalogue()[name]
    engine, process = engine_side(profile, seed=5), link_process_side(profile, 5, monkeypatch)
    assert engine == process
    assert engine != link_process_side(profile, 6, monkeypatch)
    assert 100 < len(engine) <= len(PACKETS)


def engine_side(profile: NetworkProfile, seed: int) -> list[float]:
    """When the access link of a leg in the engine delivers."""
    clock = Clock()
    link = AccessLink(profile, seed, clock)  # type: ignore[arg-type]
    for at_s, size in PACKETS:
        clock.now = at_s
        link.send_down(size, lambda: None)
    dropped = sum(link.counters.drops.values())
    assert link.counters.packets == len(PACKETS) == len(clock.due) + dropped
    return clock.due


def link_process_side(profile: NetworkProfile, seed: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the link process, with its settings as they reach it, delivers."""
    monkeypatch.setattr(time, "monotonic", lambda: STARTED_AT_S)
    monkeypatch.setattr(tun_forwarder, "_create_devices", lambda *_names: (-1, -1))
    settings = {
        "device": "", "host_address": "", "device_address": "", "seed": seed, "profile": plain_profile(profile),
    }  # fmt: skip
    running = tun_forwarder.TunForwarder(json.loads(json.dumps(settings)))
    link = running._forwarders["down"].link
    found: list[Delivery] = [link.offer(at_s, size) for at_s, size in PACKETS]

    return [one.at_s for one in found if one.at_s is not None]

"""The browser's own network emulation, where no link can be built: what it does, how it is labelled."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine_in_time import in_time
from waiting import HANG_LIMIT_S, eventually

from bedrock.clock import SystemClock
from calls.targets.own_service import start_own_service
from device_matrix.artifacts import next_attempt
from device_matrix.attempt.cell_environment import scratch_folder
from device_matrix.attempt.execution import Attempt
from device_matrix.attempt.worker import RunSettings, Worker
from device_matrix.cells import Cell, DriverName
from device_matrix.cpu import cpu_limit
from device_matrix.cpu.unlimited import NoCpuGroup, pids_of_browser
from device_matrix.devices import catalogue
from device_matrix.drivers.network_emulation import emulated_conditions, not_shaped
from device_matrix.drivers.playwright_driver import PlaywrightDriver
from device_matrix.drivers.protocol import LaunchSpec
from device_matrix.network import link_choice
from device_matrix.network.emulated_link import measure_in_browser
from network_profiles import load_catalogue
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import rootless
from reports.run.cells import CellResult, CellStatus

NETWORKS = load_catalogue()


def test_a_browser_is_told_the_nearest_that_it_can_do() -> None:
    (rule,) = emulated_conditions(NETWORKS["gprs_2g"])["matchedNetworkConditions"]
    assert rule["latency"] == 325.0, "added to what is sent and to what is received: a round trip of 650 ms"
    assert (rule["downloadThroughput"], rule["uploadThroughput"]) == (50_000 / 8, 30_000 / 8), "bytes a second"
    assert rule["packetLoss"] == pytest.approx(2.0)
    assert rule["packetQueueLength"] == 6, "2000 ms at 30 kbit/s, in packets of 1200 bytes"


def test_what_a_browser_does_not_do_is_named() -> None:
    assert any("jitter" in phrase for phrase in not_shaped(NETWORKS["lte_good"]))
    assert any("different delays" in phrase for phrase in not_shaped(NETWORKS["edge_275g"]))
    assert any("changes with time" in phrase for phrase in not_shaped(NETWORKS["handover_lte_3g"]))
    assert not any("different" in phrase for phrase in not_shaped(NETWORKS["lte_good"]))


def test_it_stands_in_only_where_no_link_can_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(asked: str | None) -> None:
        raise LinkCannotBeBuilt("no links here", missing=["the kernel has no TUN"])

    monkeypatch.setattr(link_choice, "choose_backend", refuse)
    monkeypatch.setattr(rootless, "missing_prerequisites", lambda: ["the kernel has no TUN"])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert link_choice.missing_prerequisites(None) == ["no links here"], "root can mend that"
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert link_choice.chosen_backend(None) == "cdp"
    assert link_choice.missing_prerequisites(None) == []
    emulated = link_choice.warnings(None)[0]
    assert "not root; the kernel has no TUN" in emulated
    assert "backend=cdp" in emulated
    with pytest.raises(LinkCannotBeBuilt):
        link_choice.chosen_backend("userspace")
    assert link_choice.missing_prerequisites("userspace") == ["no links here"]


@pytest.fixture(scope="module")
def driver() -> Iterator[PlaywrightDriver]:
    driver = PlaywrightDriver()
    driver.start()
    yield driver
    driver.close()


def launch_spec(folder: Path, network: str | None) -> LaunchSpec:
    return LaunchSpec(
        device=catalogue()["redmi-go"],
        exec_prefix=[],
        group=NoCpuGroup(pids_of_browser(folder)),
        work_folder=folder,
        secure_origins=["http://127.0.0.1"],
        init_script="",
        environment={"TMPDIR": str(folder)},
        emulated_network=None if network is None else emulated_conditions(NETWORKS[network]),
    )


@pytest.mark.integration
def test_round_trips_of_media_sockets_grow_as_asked(driver: PlaywrightDriver) -> None:
    # Not in pytest's folder: a browser's socket has room for 107 bytes of path.
    with scratch_folder() as folder, driver.launch(launch_spec(folder, "hspa_35g"), HANG_LIMIT_S) as browser:
        evidence = measure_in_browser(browser, NETWORKS["hspa_35g"])
        # The same look at the same browser, held against another network, is a miss.
        other = measure_in_browser(browser, NETWORKS["lte_good"])
    assert evidence.ok, evidence.misses
    assert not other.ok
    tables = evidence.to_dict()
    assert tables["backend"] == "cdp"
    assert tables["not_shaped"]


@pytest.mark.integration
def test_a_cell_without_links_is_labelled_so(
    driver: PlaywrightDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_limit, "missing_prerequisites", lambda: ["no control groups"])
    service = start_own_service(tmp_path / "service" / "service.sqlite", tmp_path / "service.log")
    settings = RunSettings(
        run_id="test-run",
        run_folder=str(tmp_path),
        plan="smoke",
        seed=5,
        sustain_s=2.0,
        retries_environment=0,
        target_url=service.url,
        admin_token=service.admin_token,
        appium_url="",
        backend="cdp",
    )
    worker = Worker("matrix-test", settings, catalogue(), NETWORKS, SystemClock())
    worker._drivers[DriverName.PLAYWRIGHT] = driver
    cell = Cell("redmi-go", "lte_good", "audio_call", DriverName.PLAYWRIGHT)
    rtts_ms: list[float] = []

    def is_prompt() -> bool:
        nonlocal result
        result = in_time(lambda: Attempt(worker, cell, next_attempt(tmp_path, cell.id)).run())
        assert result.status is CellStatus.PASSED, result.detail
        rtts_ms.append(float(str(result.figures["rtt_ms"])))
        return rtts_ms[-1] <= NETWORKS["lte_good"].rtt_ms + 40

    result: CellResult
    try:
        assert eventually(is_prompt), rtts_ms
    finally:
        worker.far_end.close()
        worker.flush()
        service.process.stop()
    written = tmp_path / "cells" / cell.id / str(result.attempt) / "cell.json"
    shaping = json.loads(written.read_text())["shaping"]
    assert shaping["backend"] == "cdp"
    assert shaping["not_shaped"]
    assert min(rtts_ms) >= NETWORKS["lte_good"].rtt_ms - 40

"""Whole cells against the real service, over real links, with the engine at the far end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from machine_in_time import in_time
from waiting import eventually

from bedrock.clock import SystemClock
from calls.targets.own_service import start_own_service
from device_matrix.artifacts import next_attempt
from device_matrix.attempt import cell_environment
from device_matrix.attempt.execution import Attempt
from device_matrix.attempt.worker import RunSettings, Worker
from device_matrix.cells import Cell, DriverName
from device_matrix.cpu import cpu_limit
from device_matrix.cpu.cpu_limit import CGROUP_ROOT
from device_matrix.cpu.owner import PREFIX
from device_matrix.devices import catalogue
from device_matrix.drivers import appium_server
from device_matrix.drivers.appium_server import AppiumServer
from device_matrix.drivers.playwright_driver import PlaywrightDriver
from device_matrix.scenarios import video_fallback
from network_profiles import ShapedLink, load_catalogue, missing_prerequisites, open_link
from reports.run.cells import CellResult, CellStatus

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        bool(missing_prerequisites() or cpu_limit.missing_prerequisites()),
        reason="no links or CPU groups on this machine",
    ),
]

PLAYWRIGHT_CELL = Cell("redmi-go", "lte_good", "audio_call", DriverName.PLAYWRIGHT)
APPIUM_CELL = Cell("iphone-13", "lte_good", "audio_call", DriverName.APPIUM)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def worker(run_folder: Path) -> Iterator[Worker]:
    with matrix_worker(run_folder, with_appium=not appium_server.missing_prerequisites()) as made:
        yield made


@contextmanager
def matrix_worker(run_folder: Path, *, with_appium: bool, host: str = "127.0.0.1") -> Iterator[Worker]:
    service = start_own_service(run_folder / "service" / "service.sqlite", run_folder / "service.log", host=host)
    server = AppiumServer(run_folder / "appium.log")
    appium = server.start() if with_appium else None
    settings = RunSettings(
        run_id="test-run",
        run_folder=str(run_folder),
        plan="smoke",
        seed=5,
        sustain_s=2.0,
        retries_environment=0,
        target_url=service.url,
        admin_token=service.admin_token,
        appium_url="" if appium is None else appium.url,
        appium_network="" if appium is None else appium.network,
    )
    patch = pytest.MonkeyPatch()
    # Shorter than a run's own: enough packets to tell a link that is off, not to tell by how little.
    patch.setattr(cell_environment, "MEASURE_BUDGET_S", 1.0)
    made = Worker("matrix-test", settings, catalogue(), load_catalogue(), SystemClock())
    made.warm_up()
    # Kept between cells: made here, it is not counted against the first test.
    driver = made.driver(DriverName.PLAYWRIGHT)
    assert isinstance(driver, PlaywrightDriver)
    driver.start()
    try:
        yield made
    finally:
        made.close()
        server.stop()
        service.process.stop()
        patch.undo()


def run(worker: Worker, cell: Cell) -> CellResult:
    """Of the first attempt that the product does not call off because this machine was late."""
    return in_time(lambda: run_once(attempt_at(worker, cell)))


def run_once(attempt: Attempt) -> CellResult:
    result = attempt.run()
    assert not list(CGROUP_ROOT.glob(f"*/{PREFIX}{os.getpid()}.*")), "a control group was left"
    return result


def attempt_at(worker: Worker, cell: Cell) -> Attempt:
    return Attempt(worker, cell, next_attempt(worker.run_folder, cell.id))


def require_whole_call(worker: Worker, result: CellResult) -> None:
    assert (result.status, result.reason, result.detail) == (CellStatus.PASSED, "", "")
    folder = worker.run_folder / "cells" / result.cell / str(result.attempt)
    expected = {
        "console.log",
        "headers.pcap",
        "link_counters.json",
        "replay.txt",
        "screen.png",
        "shaping_evidence.json",
        "steps.txt",
        "webrtc.json",
    }
    assert set(result.artifacts) == expected
    assert all((folder / name).exists() for name in expected)
    assert (folder / "screen.png").read_bytes().startswith(b"\x89PNG")
    assert result.shaping["ok"] is True
    figures = result.figures
    assert isinstance(figures["setup_ms"], float)
    assert 0 < figures["setup_ms"] < 10_000
    profile = load_catalogue()[result.network]
    assert isinstance(figures["owd_down_p50_ms"], float)
    assert figures["owd_down_p50_ms"] >= profile.down.owd_ms - 3 * profile.down.jitter_ms
    assert figures["ptime_up_ms"] == 20.0
    assert str(figures["local_candidate"]).startswith("host 10.213.")
    assert isinstance(figures["cpu_quota_cores"], float)
    assert isinstance(figures["cpu_busy_cores"], float)
    assert 0 < figures["cpu_busy_cores"] <= 1.25 * figures["cpu_quota_cores"] + 0.05
    assert result.replay == f"ringfence matrix --plan smoke --cell {result.cell}"


def legs_of(worker: Worker, call_id: str) -> list[dict[str, Any]]:
    worker.flush()
    query = f"select * from read_parquet('{worker.run_folder}/calls/*.parquet') where call_id = ? order by side"
    legs: list[dict[str, Any]] = []

    def both_are_written() -> bool:
        with duckdb.connect() as database:
            found = database.execute(query, [call_id])
            names = [column[0] for column in found.description or ()]
            legs[:] = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return len(legs) == 2

    eventually(both_are_written)  # the engine flushes its own segments once a second
    return legs


def test_a_call_driven_by_playwright_is_measured_at_both_ends(worker: Worker) -> None:
    result = run(worker, PLAYWRIGHT_CELL)
    require_whole_call(worker, result)
    callee, caller = legs_of(worker, result.call_id)
    assert (callee["side"], caller["side"]) == ("callee", "caller")
    assert (caller["tier"], caller["source"], caller["cell"]) == ("browser", "matrix", result.cell)
    assert (caller["outcome"], caller["stage"]) == ("completed", "ended")
    assert caller["hung_up_cleanly"]
    assert caller["mos_lq"] > 3
    assert callee["cell"] == result.cell
    assert callee["outcome"] == "completed"
    begun_s = max(callee["started_at_s"], caller["started_at_s"])
    over_s = min(callee["ended_at_s"], caller["ended_at_s"])
    assert begun_s <= callee["first_audio_at_s"] <= over_s
    assert begun_s <= caller["first_audio_at_s"] <= over_s


@pytest.mark.skipif(bool(appium_server.missing_prerequisites()), reason="no Appium server on this machine")
def test_a_call_driven_by_appium_is_measured_the_same_way(worker: Worker) -> None:
    require_whole_call(worker, run(worker, APPIUM_CELL))


def test_a_link_that_is_off_says_nothing_of_the_product(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_slower(profile: Any, **rest: Any) -> AbstractContextManager[ShapedLink]:
        down = profile.down.model_copy(update={"owd_ms": profile.down.owd_ms + 60})
        return open_link(profile.model_copy(update={"down": down}), **rest)

    monkeypatch.setattr(cell_environment, "open_link", open_slower)
    result = run(worker, PLAYWRIGHT_CELL)
    assert (result.status, result.reason, result.blame) == (CellStatus.ENVIRONMENT_ERROR, "link_off", "network")
    assert "down owd_ms" in result.detail
    assert result.call_id == ""


def when_in_call(attempt: Attempt, act: Callable[[], None]) -> Attempt:
    """Runs ``act`` as soon as the call of ``attempt`` is on."""
    begin = attempt.steps.begin

    def begin_and_act(name: str) -> None:
        begin(name)
        if name == "sustain":
            act()

    attempt.steps.begin = begin_and_act  # type: ignore[method-assign]
    return attempt


def test_a_video_call_that_stays_video_fails_the_fallback(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    fallback = Cell("moto-g4", "hspa_35g", "video_fallback", DriverName.PLAYWRIGHT)
    limits_s = iter(range(4, 300, 8))

    def video_was_sent() -> bool:
        """Within a limit that leaves a slow machine the time for its first frame."""
        monkeypatch.setattr(video_fallback, "FALLBACK_LIMIT_S", float(next(limits_s)))
        result = run(worker, fallback)
        assert (result.status, result.reason, result.blame) == (CellStatus.FAILED, "no_fallback", "target")
        assert "screen.png" in result.artifacts
        return bool(result.figures["video_frames_sent"])

    assert eventually(video_was_sent)


def test_a_far_end_killed_in_the_call_is_an_environment_error_and_comes_back(worker: Worker) -> None:
    def kill_engine() -> None:
        assert worker.far_end.pid is not None
        os.kill(worker.far_end.pid, signal.SIGKILL)

    result = in_time(lambda: run_once(when_in_call(attempt_at(worker, PLAYWRIGHT_CELL), kill_engine)))
    assert (result.status, result.reason) == (CellStatus.ENVIRONMENT_ERROR, "far_end_lost")
    worker.far_end.ensure_started()
    assert worker.far_end.pid is not None
    worker.far_end.close()

"""The bench's arms for real: tiny numbers of calls, on a pinned core; and losses and lateness that were really made."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psutil
import pytest
from held_time import HeldAlarm, HeldLoop, LoopClock
from waiting import HANG_LIMIT_S, eventually

from calls import compiled
from calls.bench import sipp
from calls.bench.arm_protocol import ArmOrder
from calls.bench.driver import avoiding_core, running_arm
from calls.bench.engine_arm import EngineArm
from calls.bench.measure import SETTLE_S, measure
from calls.bench.media import MediaBench, bench_media
from calls.bench.signaling import SignalingLevel, bench_signaling
from calls.bench.step import BenchStep, SetUps

CORE = max(os.sched_getaffinity(0))


@pytest.mark.integration
def test_the_media_bench_measures_both_arms_and_tells_it_as_promised() -> None:
    heard: list[BenchStep | SetUps] = []
    bench = bench_media(core=CORE, quick=True, with_video=True, most=2, on_step=heard.append, step_s=0.4)
    told = msgspec.json.decode(msgspec.json.encode(bench))
    wanted = {
        "calls_per_core", "cpu_ms_per_call_second", "send_late_p99_ms", "lost", "setup_cpu_ms", "rss_mb_per_call"
    }  # fmt: skip
    assert wanted <= told["engine"].keys()
    assert {"aiortc", "ratio", "video", "setup", "machine", "criteria", "curve"} <= told.keys()
    assert {(line["arm"], line["media"]) for line in told["curve"]} == {
        ("engine", "audio"),
        ("aiortc", "audio"),
        ("engine", "video"),
    }
    for line in told["curve"]:
        assert line["packets_sent"] > 0
        assert line["packets_received"] > 0
        assert line["cpu_ms_per_call_second"] > 0
    assert [type(one) for one in heard].count(SetUps) == 2
    assert bench.setup.calls_per_s_core > 0
    assert msgspec.convert(told, MediaBench) == bench


@pytest.mark.integration
def test_the_arm_keeps_to_its_core_the_driver_off_it_and_nothing_is_left() -> None:
    before = os.sched_getaffinity(0)
    with avoiding_core(CORE) as elsewhere, running_arm("engine", CORE) as arm:
        assert elsewhere == (len(before) > 1)
        assert arm.level(2, 0.3).packets_received > 0
        threads = [thread.id for thread in psutil.Process(arm.pid).threads()]
        assert {frozenset(os.sched_getaffinity(thread)) for thread in threads} == {frozenset({CORE})}
        assert not elsewhere or CORE not in os.sched_getaffinity(0)
        pid = arm.pid
    assert os.sched_getaffinity(0) == before
    assert not psutil.pid_exists(pid)


@asynccontextmanager
async def held_arm() -> AsyncIterator[tuple[EngineArm, HeldLoop, LoopClock]]:
    """Our arm in a time that only a stall of the test's own makes late."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, HeldLoop)
    arm = EngineArm(loop, clock := LoopClock(loop), HeldAlarm)
    try:
        yield arm, loop, clock
    finally:
        await arm.close()


@pytest.mark.held_time
async def test_a_loop_that_nothing_blocks_is_never_late() -> None:
    async with held_arm() as (arm, _, clock):
        step = await measure(arm, ArmOrder(calls=2, seconds=1.0), CORE, clock)
    assert (step.seconds, step.lost) == (1.0, 0)
    assert step.send_late_max_ms <= 1.0, "the ticker rounds up to a millisecond"
    assert step.packets_sent == pytest.approx(step.packets_due, abs=4)
    assert step.packets_received == step.packets_sent


@pytest.mark.held_time
async def test_a_blocked_loop_reads_as_late_packets() -> None:
    async with held_arm() as (arm, loop, clock):
        await arm.hold(1, "audio")
        loop.call_later(SETTLE_S + 0.2, loop.stall, 0.3)
        step = await measure(arm, ArmOrder(calls=1, seconds=0.9), CORE, clock)
    # The first packet of the stall was due up to a frame after it began.
    assert 280 <= step.send_late_max_ms <= 301
    assert step.broken_by().startswith("send lateness p99")


@pytest.mark.held_time
async def test_packets_that_our_own_socket_drops_read_as_lost() -> None:
    async with held_arm() as (arm, loop, clock):
        await arm.hold(1, "audio")
        for leg in arm._calls[0].legs:
            leg.transport._socket._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        # Behind the stall stand some 20 packets a leg, and a buffer that takes two or three.
        loop.call_later(SETTLE_S + 0.1, loop.stall, 0.4)
        step = await measure(arm, ArmOrder(calls=1, seconds=1.2), CORE, clock)
    assert step.lost >= step.packets_sent - step.packets_received > 20
    assert step.broken_by().startswith("lost ")


@pytest.mark.held_time
async def test_set_ups_at_once_all_succeed_in_the_time_that_the_protocols_take() -> None:
    async with held_arm() as (arm, _, _clock):
        set_ups = await arm.set_up_and_end(0.05)
    assert set_ups.calls >= 32
    assert set_ups.failed == 0
    assert 0 < set_ups.set_up_p50_ms <= set_ups.set_up_p95_ms <= 45


@pytest.mark.integration
def test_ctrl_c_ends_the_bench_with_130_and_leaves_no_process(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "ringfence", "bench", "media", "--quick", "--no-video"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as bench:
        assert bench.stdout is not None
        assert "core" in bench.stdout.readline()
        parent = psutil.Process(bench.pid)
        children: list[psutil.Process] = []
        assert eventually(lambda: children.extend(parent.children(recursive=True)) or children)
        bench.send_signal(signal.SIGINT)
        said = bench.stdout.read()
        assert bench.wait(HANG_LIMIT_S) == 130, said
    assert "Traceback" not in said
    gone, left = psutil.wait_procs(children, timeout=HANG_LIMIT_S)
    assert len(gone) == len(children)
    assert not left
    assert not list(tmp_path.rglob("bench-media.json"))


@pytest.mark.integration
def test_signaling_is_measured_with_sipp_beside_it() -> None:
    levels: list[SignalingLevel] = []
    bench = bench_signaling(core=CORE, seconds=0.4, sipp_calls=100, on_level=levels.append, levels=(1, 4), pairs=8)
    assert [level.at_once for level in bench.levels] == [1, 4]
    assert bench.levels == levels
    for level in levels:
        assert level.calls > 0
        assert level.failed == 0
        assert level.set_up_p95_ms >= level.set_up_p50_ms > 0
        assert level.service_cpu_ms >= 0
    assert bench.calls_per_s > 0
    assert bench.saturates_first in {"engine", "service"}
    if sipp.is_installed():
        assert bench.sipp is not None
        assert bench.sipp.calls + bench.sipp.failed == 100
        assert bench.sipp_lacks == ""
    else:
        assert bench.sipp is None
        assert "sip-tester" in bench.sipp_lacks


@pytest.mark.parametrize("wanted", [True, False])
def test_the_packet_path_is_the_copy_made_of_exactly_this_source_or_the_source(wanted: bool) -> None:
    says = (
        "from calls import compiled; used = compiled.use()\n"
        "import calls.media.timing.ticker as t; print(used, t.__file__)"
    )
    environment = {**os.environ, "RINGFENCE_COMPILED": "1" if wanted else "0"}
    done = subprocess.run([sys.executable, "-c", says], capture_output=True, text=True, check=True, env=environment)
    used, file = done.stdout.split()
    assert used == str(wanted and compiled.PACKETS.find() is not None)
    assert file.endswith(".so" if used == "True" else "calls/media/timing/ticker.py")

"""Measures one level of an arm: CPU time, send lateness, packets and memory while the calls are held."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from bedrock.clock import Clock
from calls.bench.arm_protocol import Arm, ArmOrder
from calls.bench.step import BenchStep
from calls.engine.health.health import process_cpu_s, rss_mb

SETTLE_S = 1.5
"""Pause between the set-up of new calls and the measurement. The set-up, up to each leg's first RTCP report, costs more
CPU than the level itself."""


async def measure(arm: Arm, order: ArmOrder, core: int, clock: Clock) -> BenchStep:
    """Holds the level and returns its cost."""
    await arm.hold(order.calls, order.media)
    await asyncio.sleep(SETTLE_S)
    arm.lateness.clear()
    before, stolen_s = await arm.counts(), core_stolen_s(core)
    cpu_s, wall_s = process_cpu_s(), clock.monotonic_s()
    await asyncio.sleep(order.seconds)
    cpu_s, wall_s = process_cpu_s() - cpu_s, clock.monotonic_s() - wall_s
    late = [arm.lateness.quantile_ms(q) or 0.0 for q in (0.5, 0.99)]
    after = await arm.counts()
    sent = after.sent - before.sent
    return BenchStep(
        arm=arm.name,
        media=order.media,
        calls=order.calls,
        seconds=round(wall_s, 3),
        cpu_ratio=round(cpu_s / wall_s, 4),
        cpu_ms_per_call_second=round(1000 * cpu_s / wall_s / order.calls, 3),
        send_late_p50_ms=round(late[0], 3),
        send_late_p99_ms=round(late[1], 3),
        send_late_max_ms=round(max(0.0, arm.lateness.max_ms), 3),
        packets_due=int(order.calls * 2 * 50 * wall_s) if order.media == "audio" else sent,
        packets_sent=sent,
        packets_received=after.received - before.received,
        lost=after.lost - before.lost,
        rss_mb=round(rss_mb(), 2),
        stolen_ratio=round((core_stolen_s(core) - stolen_s) / wall_s, 4),
    )


def core_stolen_s(core: int) -> float:
    """Returns the seconds that the hypervisor took from ``core`` since boot (proc(5), ``steal``)."""
    for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields[0] == f"cpu{core}" and len(fields) > 8:
            return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    return 0.0

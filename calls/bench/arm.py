"""``python -m calls.bench.arm --arm engine --core 1``: one process on one core that holds calls when told to.

Orders come as JSON lines on stdin, each is answered by one JSON line on stdout; it ends when stdin closes.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from bedrock import crash
from bedrock.clock import Clock, SystemClock
from calls import compiled
from calls.bench.orders import serve_orders
from calls.bench.step import Media, SetUps, Step

if TYPE_CHECKING:
    from calls.histograms import MsHistogram

ARMS = ("engine", "aiortc")
SETTLE_S = 1.5
"""After new calls were set up, before a measurement: the burst of the set-up, up to the first reports of every new
leg, is not the level's."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver wants: hold ``calls``, or (0) set calls up and end them, for ``seconds``."""

    calls: int
    media: Media = "audio"
    seconds: float


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; ``error`` is a sentence."""

    step: Step | None = None
    set_ups: SetUps | None = None
    error: str = ""


class Counts(msgspec.Struct, frozen=True):
    """Totals of an arm."""

    sent: int
    received: int
    lost: int


class Arm(Protocol):
    """A way to hold two-way calls, both legs in this process."""

    name: str
    lateness: MsHistogram
    """Of the packets since it was cleared last."""

    async def hold(self, calls: int, media: Media) -> None:
        """Sets up or ends calls until just so many stand, each heard at both ends. Raises TimeoutError."""

    async def counts(self) -> Counts:
        """Returns the totals of the calls that stand."""

    async def set_up_and_end(self, seconds: float) -> SetUps:
        """Sets up and ends calls, several at once, for ``seconds``."""

    async def close(self) -> None:
        """Ends every call."""


async def measure(arm: Arm, order: Order, core: int, clock: Clock) -> Step:
    """Holds the level and returns what it cost."""
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
    return Step(
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


def process_cpu_s() -> float:
    """Returns the CPU seconds of this process, all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def rss_mb() -> float:
    """Returns the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * resource.getpagesize() / 1e6


def core_stolen_s(core: int) -> float:
    """Returns the seconds that the hypervisor took from ``core`` since boot (proc(5), ``steal``)."""
    for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields[0] == f"cpu{core}" and len(fields) > 8:
            return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    return 0.0


async def _reply(arm: Arm, core: int, order: Order) -> Reply:
    try:
        if order.calls:
            return Reply(step=await measure(arm, order, core, SystemClock()))
        await arm.hold(0, "audio")
        return Reply(set_ups=await arm.set_up_and_end(order.seconds))
    except TimeoutError:
        return Reply(error=f"{order.calls} {order.media} calls could not be set up in time")


async def _run(name: str, core: int, is_compiled: bool) -> None:
    arm: Arm
    if name == "engine":
        from calls.bench.engine_arm import EngineArm

        arm = EngineArm(asyncio.get_running_loop(), SystemClock())
    else:
        from calls.bench.aiortc_arm import AiortcArm

        arm = AiortcArm(asyncio.get_running_loop())
    if name == "engine":
        # Only now, with everything imported, is it known what lives for ever.
        from calls.engine.process_tuning import collect_rarely

        collect_rarely()

    async def answer(line: bytes) -> bytes:
        return msgspec.json.encode(await _reply(arm, core, msgspec.json.decode(line, type=Order)))

    try:
        await serve_orders({"compiled": is_compiled}, answer)
    finally:
        await arm.close()


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m calls.bench.arm", description=__doc__)
    parser.add_argument("--arm", choices=ARMS, required=True)
    parser.add_argument("--core", type=int, required=True, help="the one core that this process may use")
    given = parser.parse_args()
    # Before anything starts a thread: threads inherit it.
    os.sched_setaffinity(0, {given.core})
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    if given.arm == "aiortc":  # as it comes: asyncio's own loop, an ordinary process
        asyncio.run(_run(given.arm, given.core, is_compiled=False))
        return
    # Before anything imports the packet path.
    is_compiled = compiled.use()
    import uvloop

    from calls.engine.process_tuning import come_first

    come_first()
    uvloop.run(_run(given.arm, given.core, is_compiled))


if __name__ == "__main__":
    with crash.told("calls.bench.arm"):
        main()

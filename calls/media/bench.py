"""Measures what a call costs this machine: ``python -m calls.media.bench --calls 100 --seconds 10 [--json]``.

Both legs of every call live in this one process and talk over loopback: each packet is encrypted, sent, received,
decrypted, parsed and counted. A call's cost here is therefore that of both its ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bedrock.clock import SystemClock
from calls.media.factory import MediaFactory
from calls.media.interface import LegSpec, MediaEvent, MediaLeg, MediaStats
from calls.record import Tier

_SET_UP_LIMIT_S = 30.0
_SET_UPS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One measurement."""

    calls: int
    """Two-way calls that carried audio both ways at the same time."""
    media: str
    tier: str
    seconds: float
    cpu_ratio: float
    """CPU time over wall time while the calls talked: 1.0 is one core."""
    calls_per_core: float
    """Extrapolated from ``cpu_ratio``."""
    cpu_ms_per_call_second: float
    setup_cpu_ms: float
    """CPU time to set up one call, both legs: ICE, DTLS, keys; and the talk of the calls that stood already."""
    setup_calls_per_s: float
    send_late_p99_ms: float
    send_late_max_ms: float
    packets_sent: int
    packets_received: int
    lost: int
    """Sent and not received, less what was on its way when the measurement ended."""
    dropped: int
    """By our own sockets."""
    rss_mb_per_call: float
    callback_errors: int


class _Call:
    """Two legs of one process, joined without any signaling."""

    def __init__(self, caller: MediaLeg, callee: MediaLeg, heard: list[asyncio.Event]) -> None:
        self.legs = (caller, callee)
        self.heard = heard

    @classmethod
    async def open(cls, factory: MediaFactory, tier: Tier, media: str, seed: int) -> _Call:
        heard = [asyncio.Event(), asyncio.Event()]
        legs = []
        for side in (0, 1):

            def on_event(event: MediaEvent, _at_s: float, side: int = side) -> None:
                if event is MediaEvent.FIRST_AUDIO:
                    heard[side].set()

            spec = LegSpec(tier, media, "127.0.0.1", None, 24, 20, 2 * seed + side)
            legs.append(await factory.open_leg(spec, on_event))
        answer = await legs[1].accept_offer(await legs[0].create_offer())
        await legs[0].accept_answer(answer)
        return cls(legs[0], legs[1], heard)

    async def wait_heard(self) -> None:
        async with asyncio.timeout(_SET_UP_LIMIT_S):
            for event in self.heard:
                await event.wait()

    async def close(self) -> list[MediaStats]:
        for leg in self.legs:
            leg.end_talk()
        return [await leg.close() for leg in self.legs]


async def measure(calls: int, seconds: float, *, media: str = "audio", tier: Tier = Tier.PACKETS) -> BenchResult:
    """Holds ``calls`` calls for ``seconds``. Raises TimeoutError when a call carries no audio within 30 s."""
    factory = MediaFactory(asyncio.get_running_loop(), SystemClock())
    try:
        rss_before_mb = _rss_mb()
        cpu_s, wall_s = _cpu_s(), time.monotonic()
        gate = asyncio.Semaphore(_SET_UPS_AT_ONCE)

        async def set_up(seed: int) -> _Call:
            async with gate:
                call = await _Call.open(factory, tier, media, seed)
                await call.wait_heard()
                return call

        placed = await asyncio.gather(*(set_up(seed) for seed in range(calls)))
        setup_cpu_s, setup_wall_s = _cpu_s() - cpu_s, time.monotonic() - wall_s
        rss_mb = _rss_mb() - rss_before_mb
        factory.health()
        cpu_s, wall_s = _cpu_s(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu_ratio = (_cpu_s() - cpu_s) / (time.monotonic() - wall_s)
        health = factory.health()
        stats = [leg_stats for call in placed for leg_stats in await call.close()]
        carried = sum(1 for leg_stats in stats if leg_stats.packets_received) // 2
        return BenchResult(
            calls=carried,
            media=media,
            tier=str(tier),
            seconds=seconds,
            cpu_ratio=round(cpu_ratio, 4),
            calls_per_core=round(carried / cpu_ratio, 1),
            cpu_ms_per_call_second=round(1000 * cpu_ratio / carried, 3) if carried else 0.0,
            setup_cpu_ms=round(1000 * setup_cpu_s / calls, 2),
            setup_calls_per_s=round(calls / setup_wall_s, 1),
            send_late_p99_ms=round(health.send_late_p99_ms, 3),
            send_late_max_ms=round(health.send_late_max_ms, 3),
            packets_sent=sum(leg_stats.packets_sent for leg_stats in stats),
            packets_received=sum(leg_stats.packets_received for leg_stats in stats),
            lost=sum(leg_stats.packets_lost for leg_stats in stats),
            dropped=sum(leg_stats.send_errors for leg_stats in stats),
            rss_mb_per_call=round(rss_mb / calls, 3),
            callback_errors=health.callback_errors,
        )
    finally:
        await factory.close()


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    """Measures and prints."""
    import uvloop

    parser = argparse.ArgumentParser(prog="python -m calls.media.bench", description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--media", choices=("audio", "video"), default="audio")
    parser.add_argument("--tier", choices=("packets", "media"), default="packets")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    result = uvloop.run(measure(chosen.calls, chosen.seconds, media=chosen.media, tier=Tier(chosen.tier)))
    if chosen.json:
        print(json.dumps({"engine": asdict(result)}))
    else:
        for name, value in asdict(result).items():
            print(f"{name:24} {value}")


if __name__ == "__main__":
    main()

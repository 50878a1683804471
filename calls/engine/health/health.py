"""Measures the event loop's lag, the CPU and the memory of this process, for one health row a second."""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path

from bedrock.clock import Clock
from bedrock.quantile import quantile

LAG_PROBE_S = 0.02
"""As often as a leg sends a packet."""


class LoopLag:
    """Measures how late the loop calls a timer that does nothing else."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._lags_ms: list[float] = []
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def p99_ms(self) -> float:
        """Returns the 99th percentile since the last call."""
        lags_ms, self._lags_ms = self._lags_ms, []
        return quantile(lags_ms, 0.99) or 0.0

    def close(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._due_s = self._clock.monotonic_s() + LAG_PROBE_S
        self._timer = self._loop.call_later(LAG_PROBE_S, self._ring)

    def _ring(self) -> None:
        self._lags_ms.append(max(0.0, (self._clock.monotonic_s() - self._due_s) * 1000.0))
        self._arm()


class CpuMeter:
    """Measures the CPU time of this process and the steal time of the machine, over wall time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at_s = clock.monotonic_s()
        self._cpu_s = process_cpu_s()
        self._steal, self._total = _machine_ticks()

    def read(self) -> tuple[float, float]:
        """Returns (cpu_ratio, steal_ratio) since the last call. 1.0 is one core, or the whole machine stolen."""
        at_s, cpu_s = self._clock.monotonic_s(), process_cpu_s()
        steal, total = _machine_ticks()
        cpu_ratio = (cpu_s - self._cpu_s) / max(1e-6, at_s - self._at_s)
        steal_ratio = (steal - self._steal) / max(1, total - self._total)
        self._at_s, self._cpu_s, self._steal, self._total = at_s, cpu_s, steal, total
        return cpu_ratio, steal_ratio


def rss_mb() -> float:
    """Returns the resident memory of this process in 10**6 bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def process_cpu_s() -> float:
    """Returns the CPU seconds of this process, all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _machine_ticks() -> tuple[int, int]:
    with Path("/proc/stat").open(encoding="utf-8") as stat:
        ticks = [int(field) for field in stat.readline().split()[1:9]]
    return (ticks[7] if len(ticks) > 7 else 0), sum(ticks)

"""Measures the test machine's shortage of CPU: a browser that waits for a CPU can't show the product's speed."""

from __future__ import annotations

from pathlib import Path

from bedrock.clock import Clock

PRESSURE = Path("/proc/pressure/cpu")


class PressureGauge:
    """Measures the share of time in which some runnable process waited for a CPU (the kernel's PSI, ``some``)."""

    def __init__(self, clock: Clock, path: Path = PRESSURE) -> None:
        self._clock = clock
        self._path = path
        self._from_s = clock.monotonic_s()
        self._waited_us = self._read_us()

    def ratio(self) -> float | None:
        """Returns the share since this gauge was created; None on a kernel without PSI."""
        now_us = self._read_us()
        span_s = self._clock.monotonic_s() - self._from_s
        if now_us is None or self._waited_us is None or span_s <= 0:
            return None
        return min(1.0, (now_us - self._waited_us) / 1e6 / span_s)

    def _read_us(self) -> int | None:
        try:
            some = self._path.read_text().splitlines()[0]
            return int(some.rpartition("total=")[2])
        except (OSError, ValueError, IndexError):
            return None

"""Measures the effect of the CPU quota on a page: the same JavaScript runs before the limit and under it.

It gives two figures. The first proves that the quota works: CPU time over wall time, as the control group counts it.
Other load on the machine can only lower it. The second is the slowdown of one thread, beside the phone's own slowdown:
a quota limits the sum over all threads, so one thread alone is slowed less than on the phone.
"""

from __future__ import annotations

from dataclasses import dataclass

from bedrock.clock import Clock
from device_matrix.cpu.cpu_limit import CpuGroup
from device_matrix.drivers.protocol import Browser
from device_matrix.errors import DeviceUnavailable

WARM_UP_MS, UNLIMITED_MS = 10.0, 40.0
LIMITED_MS = 160.0
"""Eight periods of the quota: one more or less changes the figure by an eighth."""
TOLERANCE_RATIO, TOLERANCE_CORES = 0.25, 0.05

_BUSY_LOOP = """
(forMs) => {
  let state = 1;
  let rounds = 0;
  const began = performance.now();
  let now = began;
  while (now - began < forMs) {
    for (let step = 0; step < 20000; step += 1) state = Math.imul(state ^ step, 2654435761) >>> 0;
    rounds += 1;
    now = performance.now();
  }
  return [rounds / (now - began), state];
}
"""


@dataclass(frozen=True, slots=True)
class CpuSpeed:
    """The measured CPU of a browser that is limited to ``quota_cores``."""

    quota_cores: float
    used_cores: float
    """CPU seconds per second used under the quota, by one busy thread and the rest of the browser."""
    thread_slowdown: float
    """How much slower the busy thread was than without the limit."""

    @property
    def expected_slowdown(self) -> float:
        """The slowdown of one busy thread under the quota, on an otherwise idle machine."""
        return max(1.0, 1.0 / self.quota_cores)


def limit_and_measure(browser: Browser, group: CpuGroup, quota_cores: float, clock: Clock) -> CpuSpeed:
    """Limits ``group`` to the quota and measures the effect. Raises DeviceUnavailable where it has none."""
    browser.evaluate(_BUSY_LOOP, WARM_UP_MS)
    free = _rounds_per_ms(browser, UNLIMITED_MS)
    group.limit(quota_cores)
    at_s, used_s = clock.monotonic_s(), group.used_s()
    held = _rounds_per_ms(browser, LIMITED_MS)
    used_cores = (group.used_s() - used_s) / (clock.monotonic_s() - at_s)
    if used_cores > quota_cores * (1 + TOLERANCE_RATIO) + TOLERANCE_CORES:
        used = f"the browser used {used_cores:.2f} cores of CPU under a quota of {quota_cores:.2f}"
        detail = f"the CPU limit does not work: {used}"
        raise DeviceUnavailable(detail, reason="cpu_limit_off")
    return CpuSpeed(quota_cores, used_cores, free / held)


def _rounds_per_ms(browser: Browser, for_ms: float) -> float:
    rounds_per_ms, _state = browser.evaluate(_BUSY_LOOP, for_ms)
    return float(rounds_per_ms)

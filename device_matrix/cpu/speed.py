"""What the CPU quota does to a page: the same piece of JavaScript before the group is held to it, and after.

Two things come of it. The proof that the quota holds: CPU time used over time passed, by the group's own account,
which other load on the machine can only lower. And what one thread of the page feels, against the phone's own
slowdown: a quota bounds the sum over all threads, so one thread alone is slowed less than on the phone.
"""

from __future__ import annotations

from dataclasses import dataclass

from bedrock.clock import Clock
from device_matrix.cpu.cpu_limit import CpuGroup
from device_matrix.drivers.protocol import Browser
from device_matrix.errors import DeviceUnavailable

WARM_UP_MS, FREE_MS = 10.0, 40.0
HELD_MS = 160.0
"""Eight periods of the quota: one more or less at the edges is an eighth."""
TOLERANCE_RATIO, TOLERANCE_CORES = 0.25, 0.05

_WORK = """
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
    """One look at a browser that is held to ``quota_cores``."""

    quota_cores: float
    used_cores: float
    """CPU seconds a second that one busy thread, and what else the browser did, got under the quota."""
    thread_slowdown: float
    """How much slower that thread was than before."""

    @property
    def expected_slowdown(self) -> float:
        """What the quota makes of one busy thread on a machine that has nothing else to do."""
        return max(1.0, 1.0 / self.quota_cores)


def limit_and_measure(browser: Browser, group: CpuGroup, quota_cores: float, clock: Clock) -> CpuSpeed:
    """Holds ``group`` to the quota and measures what that does. Raises DeviceUnavailable where it holds nothing."""
    browser.evaluate(_WORK, WARM_UP_MS)
    free = _rounds_per_ms(browser, FREE_MS)
    group.limit(quota_cores)
    at_s, used_s = clock.monotonic_s(), group.used_s()
    held = _rounds_per_ms(browser, HELD_MS)
    used_cores = (group.used_s() - used_s) / (clock.monotonic_s() - at_s)
    if used_cores > quota_cores * (1 + TOLERANCE_RATIO) + TOLERANCE_CORES:
        detail = f"the browser used {used_cores:.2f} cores of CPU under a quota of {quota_cores:.2f}"
        raise DeviceUnavailable(detail, reason="cpu_limit_off")
    return CpuSpeed(quota_cores, used_cores, free / held)


def _rounds_per_ms(browser: Browser, for_ms: float) -> float:
    rounds_per_ms, _state = browser.evaluate(_WORK, for_ms)
    return float(rounds_per_ms)

"""Measures the health of a Locust worker every second, in ``health/*.parquet``, so that a late generator shows."""

from __future__ import annotations

from pathlib import Path

import gevent
import psutil

from bedrock.clock import Clock
from bedrock.quantile import quantile
from calls.headroom import fds_used_ratio, host_name, ports_used_ratio
from calls.records.record import HealthRow
from calls.records.segments import SegmentWriter
from loadtests.wire.live_stats import WorkerStats

LAG_PROBE_S = 0.05
FLUSH_EVERY_S = 5


class WorkerHealth:
    """Measures one worker process: CPU, memory, how late its greenlets run, and the starts that could not happen."""

    def __init__(self, run_folder: Path, run_id: str, slot: int, clock: Clock) -> None:
        self._run_id = run_id
        self._writer_name = f"worker-{slot}"
        self._clock = clock
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._segments = SegmentWriter(run_folder / "health", HealthRow, self._writer_name)
        self._rows = 0
        self._lags_ms: list[float] = []
        self._lag_probe = gevent.spawn(self._probe_lag)

    def second(self, tally: WorkerStats) -> None:
        """Writes the second that has passed. Raises SegmentNotWritten, or OSError when it cannot even be measured."""
        lags_ms, self._lags_ms = self._lags_ms, []
        lag_ms, cpu = quantile(lags_ms, 0.99) or 0.0, self._process.cpu_percent() / 100
        tally.worker = {"cpu": cpu, "loop_lag_p99_ms": lag_ms}
        self._segments.append(
            HealthRow(
                run_id=self._run_id,
                writer=self._writer_name,
                role="worker",
                at_s=self._clock.unix_s(),
                cpu_ratio=cpu,
                rss_mb=self._process.memory_info().rss / 1e6,
                loop_lag_p99_ms=lag_ms,
                host=host_name(),
                fds_used_ratio=fds_used_ratio(),
                ports_used_ratio=ports_used_ratio(),
                signed_in=tally.signed_in,
                starts_planned=tally.starts_planned,
                starts_dropped=tally.starts_dropped,
            )
        )
        self._rows += 1
        if self._rows % FLUSH_EVERY_S == 0:
            self._segments.flush()

    def close(self, tally: WorkerStats) -> None:
        """Writes the last second. Raises as ``second`` does."""
        self._lag_probe.kill(block=False)
        self.second(tally)
        self._segments.flush()

    def _probe_lag(self) -> None:
        while True:
            due_s = self._clock.monotonic_s() + LAG_PROBE_S
            gevent.sleep(LAG_PROBE_S)
            self._lags_ms.append((self._clock.monotonic_s() - due_s) * 1000)

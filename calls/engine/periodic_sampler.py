"""Samples every call once a second: checks it, writes a sample and a health row, flushes."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from calls.bridge.messages import AnyEvent, EngineHealth, EngineTrouble
from calls.engine.context import Context
from calls.engine.health.health import CpuMeter, LoopLag, rss_mb
from calls.engine.legs.leg import CallLeg
from calls.engine.records.leg_record import window_mos
from calls.headroom import fds_used_ratio, host_name, ports_used_ratio
from calls.media.interface import LiveStats
from calls.records.record import HealthRow, SampleRow, Tier

logger = logging.getLogger(__name__)

LEGS_PER_SLICE = 32
"""Number of legs between two turns of the loop, so that packets do not wait for statistics."""


@dataclass(slots=True)
class _Seen:
    at_s: float
    bytes_in: int
    bytes_out: int
    packets_in: int
    lost: int


class PeriodicSampler:
    """Runs from ``run`` until it is cancelled. ``legs`` and ``signed_in`` give the current calls and people."""

    def __init__(
        self,
        context: Context,
        *,
        legs: Callable[[], Iterable[CallLeg]],
        signed_in: Callable[[], int],
        tell: Callable[[AnyEvent], None],
    ) -> None:
        self._context = context
        self._legs = legs
        self._signed_in = signed_in
        self._tell = tell
        self._lag = LoopLag(asyncio.get_running_loop(), context.clock)
        self._cpu = CpuMeter(context.clock)
        self._seen: dict[CallLeg, _Seen] = {}
        self._faults = 0

    async def run(self) -> None:
        """Runs at whole seconds from now on, without drift."""
        clock = self._context.clock
        due_s = clock.monotonic_s()
        try:
            while True:
                due_s = max(due_s + 1.0, clock.monotonic_s())
                await asyncio.sleep(due_s - clock.monotonic_s())
                await self._look_at_legs()
                self._write_health()
                self._context.recorder.flush_soon()
        finally:
            self._lag.close()

    async def _look_at_legs(self) -> None:
        legs = list(self._legs())
        seen: dict[CallLeg, _Seen] = {}
        for number, leg in enumerate(legs):
            live = leg.live()
            if live is None:
                continue
            leg.check_silence(live)
            leg.check_round_trip(live)
            if self._is_sampled(leg):
                seen[leg] = self._sample(leg, live)
            if number % LEGS_PER_SLICE == LEGS_PER_SLICE - 1:
                await asyncio.sleep(0)
        self._seen = seen

    def _is_sampled(self, leg: CallLeg) -> bool:
        """Decides by the call's id, so that either both sides of a call are sampled or neither."""
        every = self._context.configure.sample_every
        if self._context.identity.source == "matrix" or leg.person.spec.tier is not Tier.PACKETS:
            return True
        return every > 0 and zlib.crc32(leg.facts.call_id.encode()) % every == 0

    def _sample(self, leg: CallLeg, live: LiveStats) -> _Seen:
        now_s = self._context.clock.unix_s()
        now = _Seen(now_s, live.bytes_received, live.bytes_sent, live.packets_received, live.packets_lost)
        before = self._seen.get(leg, _Seen(now_s - 1.0, 0, 0, 0, 0))
        kbit = 0.008 / max(0.001, now.at_s - before.at_s)
        identity = self._context.identity
        self._context.recorder.samples.append(
            SampleRow(
                run_id=identity.run_id,
                writer=identity.writer,
                call_id=leg.facts.call_id,
                side=leg.facts.side,
                tier=leg.person.spec.tier,
                cell=leg.person.spec.cell,
                at_s=now_s,
                kbit_in=(now.bytes_in - before.bytes_in) * kbit,
                kbit_out=(now.bytes_out - before.bytes_out) * kbit,
                packets_in=now.packets_in - before.packets_in,
                lost=now.lost - before.lost,
                owd_ms=live.owd_ms,
                rtt_ms=live.rtt_ms,
                jitter_ms=live.jitter_ms,
                mos_lq=window_mos(live.window, leg.media.audio_target_kbit(live)),
                media=live.media,
            )
        )
        return now

    def _write_health(self) -> None:
        media = self._context.media.health()
        cpu_ratio, steal_ratio = self._cpu.read()
        identity = self._context.identity
        row = HealthRow(
            run_id=identity.run_id,
            writer=identity.writer,
            role=identity.role,
            at_s=self._context.clock.unix_s(),
            cpu_ratio=cpu_ratio,
            rss_mb=rss_mb(),
            loop_lag_p99_ms=self._lag.p99_ms(),
            send_late_p99_ms=media.send_late_p99_ms,
            send_late_max_ms=media.send_late_max_ms,
            packets_sent=media.packets_sent,
            packets_received=media.packets_received,
            datagrams_dropped=media.datagrams_dropped,
            active_legs=media.active_legs,
            active_probe_legs=media.active_probe_legs,
            signed_in=self._signed_in(),
            steal_ratio=steal_ratio,
            host=host_name(),
            fds_used_ratio=fds_used_ratio(),
            ports_used_ratio=ports_used_ratio(),
        )
        self._context.recorder.health.append(row)
        self._tell(EngineHealth(row=row))
        if media.callback_errors > self._faults:
            self._faults = media.callback_errors
            self._tell(
                EngineTrouble(
                    code="media_fault",
                    message=f"{self._faults} internal errors in the media path; see the engine's log",
                )
            )

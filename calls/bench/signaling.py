"""Runs the signaling bench: calls without media against the reference service, and SIPp for comparison."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence

import msgspec
import psutil

from bedrock.child_process import spawn
from bedrock.quantile import quantile
from bedrock.scratch import scratch_folder
from calls.bench import sipp
from calls.bench.driver import ask, avoiding_core
from calls.bench.machine import Machine, this_machine
from calls.bench.signaling_arm import PASSWORD, SignalingCost, SignalingOrder, callee_name, caller_name
from calls.targets.admin_api import AdminApi
from calls.targets.own_service import OwnService, start_own_service

LEVELS = (1, 4, 16, 64)
"""Calls at the same time."""
PAIRS = 256
"""Pairs that take turns, so that nobody exceeds the service's rate limit for a person."""
SIPP_AT_ONCE = 64
"""Few, so that its sockets drop nothing: SIPp cannot ask for larger buffers than the kernel's default."""
_READY_S = 120.0
_PATIENCE_S = 30.0


class SignalingLevel(msgspec.Struct, frozen=True, kw_only=True):
    """A number of calls at the same time, without a pause between one call and the next."""

    at_once: int
    calls: int
    failed: int
    seconds: float
    calls_per_s: float
    set_up_p50_ms: float
    set_up_p95_ms: float
    """From the invitation to the answer, as the caller received it."""
    engine_cpu_ratio: float
    service_cpu_ratio: float
    engine_cpu_ms: float
    """CPU time per call on our side, for both people."""
    service_cpu_ms: float


class SignalingBench(msgspec.Struct, frozen=True, kw_only=True):
    """One run of ``ringfence bench signaling``: the output of ``--json``."""

    format: int = 1
    at_s: float
    core: int
    service_core: int
    """Equal to ``core`` on a machine with one core. Then CPU per call is valid and the rates are not."""
    machine: Machine
    levels: list[SignalingLevel]
    calls_per_s: float
    """The best level without a failed call; 0 without one."""
    engine_calls_per_s_core: float | None
    """Calls per CPU second of our side at that level: what one core of engine would carry."""
    service_calls_per_s_core: float | None
    saturates_first: str
    """``engine`` or ``service``: which needs more CPU per call."""
    sipp: sipp.SippRun | None
    sipp_version: str
    sipp_lacks: str
    """How to install SIPp when it is missing, else empty."""


OnLevel = Callable[[SignalingLevel], None]


def bench_signaling(
    *, core: int, seconds: float, sipp_calls: int, on_level: OnLevel, levels: Sequence[int] = LEVELS, pairs: int = PAIRS
) -> SignalingBench:
    """Measures every level, then SIPp. Raises EnvironmentLacks when the service or an arm cannot run."""
    others = sorted(os.sched_getaffinity(0) - {core})
    service_core = others[0] if others else core
    measured: list[SignalingLevel] = []
    with (
        avoiding_core(core),
        scratch_folder() as folder,
        contextlib.ExitStack() as stack,
    ):
        service = start_own_service(folder / "service.db", folder / "service.log")
        stack.callback(service.process.stop)
        _pin(service.process.pid, service_core)
        _seed(service, pairs)
        argv = [sys.executable, "-m", "calls.bench.signaling_arm", "--url", service.url]
        argv += ["--pairs", str(pairs), "--core", str(core)]
        arm = spawn("the signaling arm", argv, log_path=folder / "arm.log", pipe_stdout=True)
        stack.callback(arm.stop)
        arm.wait_ready(_READY_S)
        for at_once in levels:
            before_s = _cpu_s(service.process.pid)
            order = msgspec.json.encode(SignalingOrder(at_once=at_once, seconds=seconds))
            cost = msgspec.convert(ask(arm, order, seconds + _PATIENCE_S), SignalingCost)
            measured.append(_level(at_once, cost, _cpu_s(service.process.pid) - before_s))
            on_level(measured[-1])
    anchor = None
    if sipp.is_installed():
        with avoiding_core(core):
            anchor = sipp.run_sipp(sipp_calls, SIPP_AT_ONCE, caller_core=core, callee_core=service_core)
    return _result(core, service_core, measured, anchor)


def _result(core: int, service_core: int, levels: list[SignalingLevel], anchor: sipp.SippRun | None) -> SignalingBench:
    clean = [level for level in levels if level.calls and not level.failed]
    best = max(clean, key=lambda level: level.calls_per_s, default=None)
    first = ""
    if best is not None:
        first = "service" if best.service_cpu_ms > best.engine_cpu_ms else "engine"
    return SignalingBench(
        at_s=round(time.time(), 1),
        core=core,
        service_core=service_core,
        machine=this_machine(),
        levels=levels,
        calls_per_s=best.calls_per_s if best else 0.0,
        engine_calls_per_s_core=round(1000 / best.engine_cpu_ms, 1) if best else None,
        service_calls_per_s_core=round(1000 / best.service_cpu_ms, 1) if best else None,
        saturates_first=first,
        sipp=anchor,
        sipp_version=sipp.version(),
        sipp_lacks="" if anchor is not None else sipp.HINT,
    )


def _level(at_once: int, cost: SignalingCost, service_cpu_s: float) -> SignalingLevel:
    took_ms, done = cost.set_up_ms, cost.calls
    return SignalingLevel(
        at_once=at_once,
        calls=done,
        failed=cost.failed,
        seconds=round(cost.seconds, 3),
        calls_per_s=round(done / cost.seconds, 1),
        set_up_p50_ms=round(quantile(took_ms, 0.5) or 0.0, 2),
        set_up_p95_ms=round(quantile(took_ms, 0.95) or 0.0, 2),
        engine_cpu_ratio=round(cost.cpu_s / cost.seconds, 4),
        service_cpu_ratio=round(service_cpu_s / cost.seconds, 4),
        engine_cpu_ms=round(1000 * cost.cpu_s / done, 4) if done else 0.0,
        service_cpu_ms=round(1000 * service_cpu_s / done, 4) if done else 0.0,
    )


def _seed(service: OwnService, pairs: int) -> None:
    people = [name(pair) for pair in range(pairs) for name in (caller_name, callee_name)]
    AdminApi(service.url, service.admin_token).seed(
        {
            "users": [
                {"name": name, "display_name": name, "password": PASSWORD, "controls": "everyone"} for name in people
            ],
            "follows": [],
        }
    )


def _pin(pid: int, core: int) -> None:
    """Pins all threads of a process, and those that they start later, to one core."""
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, {core})


def _cpu_s(pid: int) -> float:
    return float(sum(psutil.Process(pid).cpu_times()[:2]))

"""The media bench: our engine and stock aiortc on the same core in the same run, to where each breaks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import msgspec

from calls.bench.driver import ArmProcess, running_arm, staying_off
from calls.bench.knee import Knee, Search, find_knee
from calls.bench.machine import Machine, this_machine
from calls.bench.step import CRITERIA, Media, SetUps, Step

FULL_STEP_S = 10.0
QUICK_STEP_S = 3.0

OnStep = Callable[[Step | SetUps], None]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one arm carries with one kind of media. Those of a call are of both its legs."""

    calls_per_core: int
    """The highest level that held; 0 when none did."""
    broken_by: str
    """Why the next level did not; empty when the search ended at its highest level."""
    broken_at_calls: int | None
    cpu_ms_per_call_second: float | None
    """At the highest level that held, like everything below."""
    cpu_ratio: float | None
    packets_per_s: float | None
    """Sent and received again."""
    send_late_p50_ms: float | None
    send_late_p99_ms: float | None
    send_late_max_ms: float | None
    lost: int
    """By the generator, over all levels up to the highest that held."""
    rss_mb_per_call: float | None
    """Slope of the resident memory over the levels."""
    setup_cpu_ms: float | None = None
    """CPU time to set up and end one call, both legs: ICE, DTLS, keys."""


class SetUpRate(msgspec.Struct, frozen=True, kw_only=True):
    """How fast calls with media can be set up and ended."""

    calls_per_s_core: float
    cpu_ms: float
    set_up_p50_ms: float
    set_up_p95_ms: float
    failed: int
    aiortc_calls_per_s_core: float
    aiortc_cpu_ms: float


class MediaBench(msgspec.Struct, frozen=True, kw_only=True):
    """One run of ``ringfence bench media``; what ``--json`` prints."""

    format: int = 1
    at_s: float
    """Unix time of the end."""
    quick: bool
    step_s: float
    core: int
    driver_elsewhere: bool
    """Whether the driver ran on another core than what it measured."""
    compiled: bool
    """Whether our packet path ran compiled (``python -m calls.compiled``) or interpreted."""
    machine: Machine
    criteria: dict[str, str]
    engine: Figures
    aiortc: Figures
    ratio: float | None
    """Calls a core of ours over those of stock aiortc."""
    ratio_by_cpu: float | None
    """CPU time a call of stock aiortc over ours, each at its highest level that held."""
    video: Figures | None
    setup: SetUpRate
    curve: list[Step]
    """Every level that was measured, in order."""


def bench_media(
    *, core: int, quick: bool, with_video: bool, most: int, on_step: OnStep, step_s: float | None = None
) -> MediaBench:
    """Measures both arms on ``core``. Raises EnvironmentLacks when an arm cannot run."""
    step_s = step_s or (QUICK_STEP_S if quick else FULL_STEP_S)
    resolution = 0.05 if quick else 0.03
    curve: list[Step] = []

    def climb(arm: ArmProcess, media: Media, first: int) -> tuple[Knee, list[Step]]:
        steps: list[Step] = []

        def measure(calls: int) -> Step:
            step = arm.level(calls, step_s, media)
            steps.append(step)
            curve.append(step)
            on_step(step)
            return step

        search = Search(min(first, most), most, resolution)
        return find_knee(measure, search), steps

    with staying_off(core) as elsewhere:
        with running_arm("engine", core) as arm:
            is_compiled = arm.is_compiled
            engine = climb(arm, "audio", 150)
        with running_arm("aiortc", core) as arm:
            aiortc = climb(arm, "audio", 8)
        video = None
        if with_video:
            with running_arm("engine", core) as arm:
                video = climb(arm, "video", 100)
        set_ups = []
        for name in ("engine", "aiortc"):
            with running_arm(name, core) as arm:
                set_ups.append(arm.set_ups(step_s / 2))
                on_step(set_ups[-1])
    ours = _figures(*engine, setup_cpu_ms=set_ups[0].cpu_ms)
    stock = _figures(*aiortc, setup_cpu_ms=set_ups[1].cpu_ms)
    return MediaBench(
        at_s=round(time.time(), 1),
        quick=quick,
        step_s=step_s,
        core=core,
        driver_elsewhere=elsewhere,
        compiled=is_compiled,
        machine=this_machine(),
        criteria=CRITERIA,
        engine=ours,
        aiortc=stock,
        ratio=_ratio(ours.calls_per_core, stock.calls_per_core),
        ratio_by_cpu=_ratio(stock.cpu_ms_per_call_second, ours.cpu_ms_per_call_second),
        video=_figures(*video) if video is not None else None,
        setup=SetUpRate(
            calls_per_s_core=set_ups[0].calls_per_s_core,
            cpu_ms=set_ups[0].cpu_ms,
            set_up_p50_ms=set_ups[0].set_up_p50_ms,
            set_up_p95_ms=set_ups[0].set_up_p95_ms,
            failed=set_ups[0].failed,
            aiortc_calls_per_s_core=set_ups[1].calls_per_s_core,
            aiortc_cpu_ms=set_ups[1].cpu_ms,
        ),
        curve=curve,
    )


def _figures(knee: Knee, steps: Sequence[Step], setup_cpu_ms: float | None = None) -> Figures:
    held, broke = knee.held, knee.broke
    return Figures(
        calls_per_core=held.calls if held else 0,
        broken_by=broke.broken_by() if broke else "",
        broken_at_calls=broke.calls if broke else None,
        cpu_ms_per_call_second=held.cpu_ms_per_call_second if held else None,
        cpu_ratio=held.cpu_ratio if held else None,
        packets_per_s=round(held.packets_received / held.seconds, 1) if held else None,
        send_late_p50_ms=held.send_late_p50_ms if held else None,
        send_late_p99_ms=held.send_late_p99_ms if held else None,
        send_late_max_ms=held.send_late_max_ms if held else None,
        lost=sum(step.lost for step in steps if held and step.calls <= held.calls),
        rss_mb_per_call=memory_slope_mb(steps),
        setup_cpu_ms=setup_cpu_ms,
    )


def memory_slope_mb(steps: Sequence[Step]) -> float | None:
    """Returns megabytes a call, least squares over the levels while they rose: memory given back is not told."""
    rising: list[Step] = []
    for step in steps:
        if not rising or step.calls > rising[-1].calls:
            rising.append(step)
    if len(rising) < 2:
        return None
    line = statistics.linear_regression([step.calls for step in rising], [step.rss_mb for step in rising])
    return round(line.slope, 4)


def _ratio(one: float | None, other: float | None) -> float | None:
    return round(one / other, 2) if one and other else None

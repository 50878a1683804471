"""Runs the media bench: our engine and stock aiortc on the same core in one run, up to the knee of each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from calls.bench.driver import ArmProcess, avoiding_core, running_arm
from calls.bench.knee import Knee, Search, find_knee
from calls.bench.machine import Machine, this_machine
from calls.bench.step import CRITERIA, BenchStep, Media, SetUps

FULL_STEP_S = 10.0
QUICK_STEP_S = 3.0
FULL_RESOLUTION, QUICK_RESOLUTION = 0.03, 0.05
"""The search for the knee stops when the lowest broken level is within this share of the highest that held."""
_FIRST_ENGINE_AUDIO_CALLS, _FIRST_ENGINE_VIDEO_CALLS, _FIRST_AIORTC_AUDIO_CALLS = 150, 100, 8
"""The levels that the searches start with."""

OnStep = Callable[[BenchStep | SetUps], None]


class ArmFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What one arm carries with one kind of media. Figures per call include both legs."""

    calls_per_core: int
    """The highest level that held; 0 when none did."""
    broken_by: str
    """Why the next level broke; empty when the search ended at its highest level."""
    broken_at_calls: int | None
    cpu_ms_per_call_second: float | None
    """At the highest level that held, like everything below."""
    cpu_ratio: float | None
    packets_per_s: float | None
    """Sent and received."""
    send_late_p50_ms: float | None
    send_late_p99_ms: float | None
    send_late_max_ms: float | None
    lost: int
    """Packets lost by the generator, over all levels up to the highest that held."""
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
    """One run of ``ringfence bench media``: the output of ``--json``."""

    format: int = 1
    at_s: float
    """Unix time of the end."""
    quick: bool
    step_s: float
    core: int
    driver_elsewhere: bool
    """Whether the driver ran on another core than the measured process."""
    compiled: bool
    """Whether our packet path ran compiled (``python -m calls.compiled``) or interpreted."""
    machine: Machine
    criteria: dict[str, str]
    engine: ArmFigures
    aiortc: ArmFigures
    ratio: float | None
    """Calls per core of our engine over those of stock aiortc."""
    ratio_by_cpu: float | None
    """CPU time per call of stock aiortc over ours, each at its highest level that held."""
    video: ArmFigures | None
    setup: SetUpRate
    curve: list[BenchStep]
    """Every measured level, in order."""


@dataclass(slots=True)
class _Levels:
    """Runs levels on one core and keeps every level that was measured, in order."""

    core: int
    step_s: float
    most: int
    resolution: float
    on_step: OnStep
    curve: list[BenchStep] = field(default_factory=list)

    def knee(self, arm: ArmProcess, media: Media, first: int) -> tuple[Knee, list[BenchStep]]:
        """Returns the highest level that ``arm`` holds, and all levels that were measured for it."""
        steps: list[BenchStep] = []

        def measure(calls: int) -> BenchStep:
            step = arm.level(calls, self.step_s, media)
            steps.append(step)
            self.curve.append(step)
            self.on_step(step)
            return step

        return find_knee(measure, Search(min(first, self.most), self.most, self.resolution)), steps

    def set_ups(self, name: str) -> SetUps:
        """Returns how fast the arm ``name`` sets up and ends calls, in a fresh process."""
        with running_arm(name, self.core) as arm:
            set_ups = arm.set_ups(self.step_s / 2)
        self.on_step(set_ups)
        return set_ups


def bench_media(
    *, core: int, quick: bool, with_video: bool, most: int, on_step: OnStep, step_s: float | None = None
) -> MediaBench:
    """Measures both arms on ``core``. Raises EnvironmentLacks when an arm cannot run."""
    step_s = step_s or (QUICK_STEP_S if quick else FULL_STEP_S)
    levels = _Levels(core, step_s, most, QUICK_RESOLUTION if quick else FULL_RESOLUTION, on_step)
    with avoiding_core(core) as elsewhere:
        with running_arm("engine", core) as arm:
            is_compiled = arm.is_compiled
            engine = levels.knee(arm, "audio", _FIRST_ENGINE_AUDIO_CALLS)
        with running_arm("aiortc", core) as arm:
            aiortc = levels.knee(arm, "audio", _FIRST_AIORTC_AUDIO_CALLS)
        video = None
        if with_video:
            with running_arm("engine", core) as arm:
                video = levels.knee(arm, "video", _FIRST_ENGINE_VIDEO_CALLS)
        engine_set_ups, aiortc_set_ups = levels.set_ups("engine"), levels.set_ups("aiortc")
    ours = _figures(*engine, setup_cpu_ms=engine_set_ups.cpu_ms)
    stock = _figures(*aiortc, setup_cpu_ms=aiortc_set_ups.cpu_ms)
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
        setup=_set_up_rate(engine_set_ups, aiortc_set_ups),
        curve=levels.curve,
    )


def _set_up_rate(ours: SetUps, stock: SetUps) -> SetUpRate:
    return SetUpRate(
        calls_per_s_core=ours.calls_per_s_core,
        cpu_ms=ours.cpu_ms,
        set_up_p50_ms=ours.set_up_p50_ms,
        set_up_p95_ms=ours.set_up_p95_ms,
        failed=ours.failed,
        aiortc_calls_per_s_core=stock.calls_per_s_core,
        aiortc_cpu_ms=stock.cpu_ms,
    )


def _figures(knee: Knee, steps: Sequence[BenchStep], setup_cpu_ms: float | None = None) -> ArmFigures:
    held, broke = knee.held, knee.broke
    return ArmFigures(
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


def memory_slope_mb(steps: Sequence[BenchStep]) -> float | None:
    """Returns megabytes per call by least squares over the rising levels. Freed memory is not measured."""
    rising: list[BenchStep] = []
    for step in steps:
        if not rising or step.calls > rising[-1].calls:
            rising.append(step)
    if len(rising) < 2:
        return None
    line = statistics.linear_regression([step.calls for step in rising], [step.rss_mb for step in rising])
    return round(line.slope, 4)


def _ratio(one: float | None, other: float | None) -> float | None:
    return round(one / other, 2) if one and other else None
